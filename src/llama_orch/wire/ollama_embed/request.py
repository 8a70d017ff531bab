# SPDX-License-Identifier: GPL-3.0-or-later
"""The two request bodies. An empty input is answered with no vectors, as Ollama does: so clients load a model."""

from __future__ import annotations

from llama_orch.wire.embedding import EmbeddingWish
from llama_orch.wire.fields import Fields, kind
from llama_orch.wire.json_body import Json, pointer
from llama_orch.wire.json_body import parse as parse_json
from llama_orch.wire.ollama_chat.options import check_keep_alive, read_model
from llama_orch_utils.errors import BadRequest

MAX_INPUTS = 16_384
MAX_DIMENSIONS = 2**16


def parse(body: bytes) -> EmbeddingWish:
    """The embeddings that `/api/embed` is asked for. Raises BadRequest, UnsupportedByTarget, with the JSON pointer.

    `truncate` is true unless the client says otherwise: that is Ollama's documented default.
    """
    fields = Fields(parse_json(body))
    value, where = fields.take("input"), fields.at("input")
    truncate, dimensions = fields.flag("truncate"), fields.integer("dimensions", 0, MAX_DIMENSIONS)
    wish = EmbeddingWish(
        inputs=_inputs(value, where),
        at=where,
        single=isinstance(value, str),
        model=read_model(fields),
        dimensions=dimensions or None,  # 0 is Go's word for "not said"
        truncate=truncate is not False,
    )
    _finish(fields)
    return wish


def parse_legacy(body: bytes) -> EmbeddingWish:
    """The one embedding that `/api/embeddings` is asked for; as Ollama's, it is not normalised."""
    fields = Fields(parse_json(body))
    prompt = fields.text("prompt")
    wish = EmbeddingWish(
        inputs=(prompt,) if prompt else (),
        at=fields.at("prompt"),
        single=True,
        model=read_model(fields),
        truncate=True,
        normalised=False,
    )
    _finish(fields)
    return wish


def _inputs(value: Json, where: str) -> tuple[str, ...]:
    if isinstance(value, str) or value is None:
        return (value,) if value else ()
    if not isinstance(value, list) or len(value) > MAX_INPUTS:
        told = f"{len(value)} texts" if isinstance(value, list) else kind(value)
        raise BadRequest(f"input must be a text or a list of at most {MAX_INPUTS} texts, not {told}", param=where)
    return tuple(_text(item, pointer(where, index)) for index, item in enumerate(value))


def _text(value: Json, where: str) -> str:
    if not isinstance(value, str):
        raise BadRequest(f"an input must be a text, not {kind(value)}", param=where)
    if not value:
        raise BadRequest("there is no text to embed here", param=where, hint="send at least one character")
    return value


def _finish(fields: Fields) -> None:
    """`options` are about sampling and memory: none of them changes a vector."""
    fields.object("options")
    check_keep_alive(fields, loading=False)
    fields.refuse_rest()
