# SPDX-License-Identifier: GPL-3.0-or-later
"""The request body."""

from __future__ import annotations

from dataclasses import dataclass

from llama_orch.wire.fields import Fields
from llama_orch.wire.json_body import Json, pointer
from llama_orch.wire.json_body import parse as parse_json
from llama_orch.wire.model_name import read_model
from llama_orch_utils.errors import BadRequest

MAX_TOKENS = 1_000_000
MAX_TOKEN = 2**31 - 1


@dataclass(frozen=True, slots=True)
class DetokenizeWish:
    """Token ids, to be told as text."""

    tokens: tuple[int, ...]
    model: str | None = None


def parse(body: bytes) -> DetokenizeWish:
    """What `body` asks for. Raises BadRequest, UnsupportedByTarget, with the JSON pointer in `param`."""
    fields = Fields(parse_json(body))
    items, where = fields.array("tokens", most=MAX_TOKENS), fields.at("tokens")
    if items is None:
        raise BadRequest("tokens must be a list of token ids", param=where, hint='send {"tokens": [1, 2]}')
    tokens = tuple(_token(item, pointer(where, index)) for index, item in enumerate(items))
    wish = DetokenizeWish(tokens, read_model(fields))
    fields.refuse_rest()
    return wish


def _token(value: Json, where: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TOKEN:
        raise BadRequest("a token id must be a whole number from 0 on", param=where)
    return value
