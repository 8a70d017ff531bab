# SPDX-License-Identifier: GPL-3.0-or-later
"""The request body."""

from __future__ import annotations

from typing import Literal, cast

from llama_orch.wire.embedding import EmbeddingWish, Input
from llama_orch.wire.fields import Fields, kind
from llama_orch.wire.json_body import Json, pointer
from llama_orch.wire.json_body import parse as parse_json
from llama_orch.wire.model_name import read_model
from llama_orch_utils.errors import BadRequest

MAX_INPUTS = 2048
"""As at OpenAI."""
MAX_LENGTH = 1_000_000
"""Token ids of one input, before anybody asks what the model can take."""
MAX_TOKEN = 2**31 - 1
MAX_DIMENSIONS = 2**16
ENCODINGS = ("float", "base64")
WITHOUT_EFFECT = ("user",)


def parse(body: bytes) -> EmbeddingWish:
    """The embeddings that `body` asks for. Raises BadRequest, UnsupportedByTarget, with the JSON pointer in `param`."""
    fields = Fields(parse_json(body))
    value, where = fields.take("input"), fields.at("input")
    single = isinstance(value, str) or (isinstance(value, list) and bool(value) and _is_number(value[0]))
    wish = EmbeddingWish(
        inputs=(_input(value, where),) if single else _inputs(value, where),
        at=where,
        single=single,
        model=read_model(fields),
        dimensions=fields.integer("dimensions", 1, MAX_DIMENSIONS),
        encoding=_encoding(fields),
    )
    fields.ignore(WITHOUT_EFFECT)
    fields.refuse_rest()
    return wish


def _inputs(value: Json, where: str) -> tuple[Input, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_INPUTS:
        told = f"{len(value)} of them" if isinstance(value, list) else kind(value)
        raise BadRequest(
            f"input must be a text, a list of token ids, or a list of 1 to {MAX_INPUTS} of those, not {told}",
            param=where,
            hint='send {"input": "…"}',
        )
    return tuple(_input(item, pointer(where, index)) for index, item in enumerate(value))


def _input(value: Json, where: str) -> Input:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, list) and 0 < len(value) <= MAX_LENGTH:
        return tuple(_token(item, pointer(where, index)) for index, item in enumerate(value))
    if isinstance(value, str | list) and not value:
        raise BadRequest("there is no text to embed here", param=where, hint="send at least one character")
    raise BadRequest(
        f"an input must be a text or a list of at most {MAX_LENGTH} token ids, not {kind(value)}", param=where
    )


def _token(value: Json, where: str) -> int:
    if not _is_number(value) or value != int(cast("float", value)) or not 0 <= cast("float", value) <= MAX_TOKEN:
        raise BadRequest("a token id must be a whole number from 0 on", param=where)
    return int(cast("float", value))


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _encoding(fields: Fields) -> Literal["float", "base64"]:
    value = fields.text("encoding_format")
    if value is not None and value not in ENCODINGS:
        raise BadRequest(f"encoding_format must be one of {', '.join(ENCODINGS)}", param=fields.at("encoding_format"))
    return "base64" if value == "base64" else "float"
