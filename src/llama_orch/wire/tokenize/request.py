# SPDX-License-Identifier: GPL-3.0-or-later
"""The request body."""

from __future__ import annotations

from dataclasses import dataclass

from llama_orch.wire.fields import Fields, kind
from llama_orch.wire.json_body import Json, pointer
from llama_orch.wire.json_body import parse as parse_json
from llama_orch.wire.model_name import read_model
from llama_orch_utils.errors import BadRequest

MAX_PARTS = 1_000_000
MAX_TOKEN = 2**31 - 1


@dataclass(frozen=True, slots=True)
class TokenizeWish:
    """`content` is texts and token ids, in their order (`listed`: it came as a list).

    `special`: add the tokens that the model wants around a text; `parse`: names of control tokens become those tokens;
    `pieces`: tell each token's text.
    """

    content: tuple[str | int, ...]
    special: bool = False
    parse: bool = True
    pieces: bool = False
    model: str | None = None
    listed: bool = False

    def where(self, index: int) -> str:
        """The JSON pointer of a part of the content."""
        return pointer("/content", index) if self.listed else "/content"


def parse(body: bytes) -> TokenizeWish:
    """What `body` asks for. Raises BadRequest, UnsupportedByTarget, with the JSON pointer in `param`."""
    fields = Fields(parse_json(body))
    value, where = fields.take("content"), fields.at("content")
    items = value if isinstance(value, list) else [value]
    if len(items) > MAX_PARTS:
        raise BadRequest(f"content has {len(items)} parts; {MAX_PARTS} are the most", param=where)
    listed = isinstance(value, list)
    wish = TokenizeWish(
        content=tuple(_part(item, pointer(where, index) if listed else where) for index, item in enumerate(items)),
        special=fields.flag("add_special") or False,
        parse=fields.flag("parse_special") is not False,
        pieces=fields.flag("with_pieces") or False,
        model=read_model(fields),
        listed=listed,
    )
    fields.refuse_rest()
    return wish


def _part(value: Json, where: str) -> str | int:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or where == "/content":
        raise BadRequest(f"content must be a text, or a list of texts and token ids, not {kind(value)}", param=where)
    if not 0 <= value <= MAX_TOKEN:
        raise BadRequest("a token id must be a whole number from 0 on", param=where)
    return value
