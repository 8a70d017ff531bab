# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is found, with the names that it has here or would get."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llama_orch.models.found import hugging_face, lm_studio, ollama
from llama_orch.models.found.found_model import FoundModel, Gathered
from llama_orch.models.found.naming import free_name
from llama_orch.models.names import not_found
from llama_orch.models.stored_model import DEMO_ID, StoredModel
from llama_orch_utils.errors import ModelNotFound

_GATHER = {ollama.APP: ollama.gather, lm_studio.APP: lm_studio.gather, hugging_face.APP: hugging_face.gather}
APPS = tuple(_GATHER)


@dataclass(frozen=True, slots=True)
class Finding:
    """The models, and the folders that could not be read: (program, folder, why)."""

    models: tuple[FoundModel, ...]
    unreadable: tuple[tuple[str, Path, str], ...]

    def named(self, name: str) -> FoundModel:
        """The model of that id, or of that name in its program. Raises ModelNotFound with what is near."""
        for model in self.models:
            if name in (model.id, model.label, model.linked):
                return model
        error = not_found(name, [model.id for model in self.models])
        near = f"did you mean {error.near_misses[0]}? " if error.near_misses else ""
        raise ModelNotFound(
            f"no other program here has a model {name!r}",
            near_misses=error.near_misses,
            hint=f"{near}orch models ls --found shows all",
        )


def find(stored: Sequence[StoredModel], app: str | None = None) -> Finding:
    """What Ollama, LM Studio and the Hugging Face cache have, or only `app`; `stored` is what the store has."""
    found = Gathered()
    for name, gather in _GATHER.items():
        if app in (None, name):
            gather(found)
    here = {os.path.realpath(model.parts[0]): model.id for model in stored}
    taken = {DEMO_ID, *(model.id for model in stored)}
    models: list[FoundModel] = []
    for model in found.models:
        linked = here.get(os.path.realpath(model.weights[0])) if model.weights else None
        id_ = linked or free_name(model.id, model.app, taken)
        taken.add(id_)
        models.append(replace(model, id=id_, linked=linked))
    return Finding(tuple(models), tuple(found.unreadable))
