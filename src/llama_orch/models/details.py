# SPDX-License-Identifier: GPL-3.0-or-later
"""One model of the store in full."""

from __future__ import annotations

from dataclasses import dataclass

from llama_orch.models.capabilities import capabilities_of
from llama_orch.models.gguf_header import read_parts
from llama_orch.models.quantisation import quantisation_of
from llama_orch.models.stored_model import StoredModel


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """A model with what its GGUF metadata says: not to be trusted, and not made safe for a terminal.

    `parameters` counts weights of all parts; `context` is what it was trained for; `template` its own chat template
    (never run here); `capabilities` in Ollama's words, with `embedding`, `rerank` and `vision`.
    """

    model: StoredModel
    architecture: str
    name: str | None
    parameters: int
    quantisation: str
    context: int | None
    template: str | None
    licence: str | None
    layers: int | None
    embedding: int | None
    vocabulary: int | None
    capabilities: tuple[str, ...] = ()

    @property
    def chat_template(self) -> bool:
        """Whether the file carries a chat template."""
        return self.template is not None


def describe(model: StoredModel) -> ModelDetails:
    """Reads the headers of all parts. Raises EngineFailed as `read_header` does."""
    header = read_parts(model.parts)
    return ModelDetails(
        model=model,
        architecture=header.architecture,
        name=header.text("general.name"),
        parameters=header.parameters,
        quantisation=quantisation_of(header),
        context=header.number("context_length"),
        template=header.text("tokenizer.chat_template"),
        licence=header.text("general.license") or model.licence,
        layers=header.number("block_count"),
        embedding=header.number("embedding_length"),
        vocabulary=header.lengths.get("tokenizer.ggml.tokens"),
        capabilities=capabilities_of(header, vision=model.projector is not None),
    )
