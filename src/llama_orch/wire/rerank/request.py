# SPDX-License-Identifier: GPL-3.0-or-later
"""The request body."""

from __future__ import annotations

from dataclasses import dataclass

from llama_orch.wire.fields import Fields, kind
from llama_orch.wire.json_body import Json, pointer
from llama_orch.wire.json_body import parse as parse_json
from llama_orch.wire.model_name import read_model
from llama_orch_utils.errors import BadRequest

MAX_DOCUMENTS = 10_000
"""As at Cohere."""
MAX_COUNT = 2**31 - 1
WITHOUT_EFFECT = ("user",)


@dataclass(frozen=True, slots=True)
class RerankWish:
    """A query and documents to put in order. `top_n` None: all of them come back; `return_documents`: with texts."""

    query: str
    documents: tuple[str, ...]
    top_n: int | None = None
    return_documents: bool = False
    model: str | None = None

    def where(self, index: int) -> str:
        """The JSON pointer of a document."""
        return pointer("/documents", index)


def parse(body: bytes) -> RerankWish:
    """What `body` asks for. Raises BadRequest, UnsupportedByTarget, with the JSON pointer in `param`."""
    fields = Fields(parse_json(body))
    query = fields.text("query")
    if not query:
        raise BadRequest("query must be a text of at least one character", param=fields.at("query"))
    wish = RerankWish(
        query=query,
        documents=_documents(fields),
        top_n=fields.integer("top_n", 1, MAX_COUNT),
        return_documents=fields.flag("return_documents") or False,
        model=read_model(fields),
    )
    fields.ignore(WITHOUT_EFFECT)
    fields.refuse_rest()
    return wish


def _documents(fields: Fields) -> tuple[str, ...]:
    items = fields.array("documents", most=MAX_DOCUMENTS)
    if not items:
        raise BadRequest("documents must hold at least one text", param=fields.at("documents"))
    return tuple(_document(item, pointer(fields.at("documents"), index)) for index, item in enumerate(items))


def _document(item: Json, where: str) -> str:
    if isinstance(item, str):
        return item
    if not isinstance(item, dict):
        raise BadRequest(f'a document must be a text or {{"text": "…"}}, not {kind(item)}', param=where)
    fields = Fields(item, where)
    text = fields.text("text")
    if text is None:
        raise BadRequest("a document must have a text", param=fields.at("text"))
    fields.refuse_rest()
    return text
