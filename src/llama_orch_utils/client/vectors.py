# SPDX-License-Identifier: Apache-2.0
"""Embeddings and rankings: what is asked, and from the target's JSON to our records."""

from __future__ import annotations

import base64
import binascii
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from llama_orch_utils.client.answer import Json, request_id_of, text_of, usage_of
from llama_orch_utils.errors import BadRequest, InvalidAnswer
from llama_orch_utils.transport.exchange import Head
from llama_orch_utils.types import Usage
from llama_orch_utils.vectors import Embeddings, Ranked, Ranking

# What OpenAI takes in one request; more texts are asked for in several.
MOST_TEXTS = 2048


def batches(texts: str | Sequence[str]) -> list[list[str]]:
    """The texts in lots that a target takes. Raises BadRequest for none, and for what is no text."""
    whole = [texts] if isinstance(texts, str) else list(texts)
    _check(whole, "/input")
    return [whole[start : start + MOST_TEXTS] for start in range(0, len(whole), MOST_TEXTS)]


def embed_body(texts: list[str], dimensions: int | None, extra: Mapping[str, Any] | None) -> Json:
    """The request: base64 on the wire is a third of the bytes, and exact."""
    body: Json = {"input": texts, "encoding_format": "base64"}
    if dimensions is not None:
        body["dimensions"] = dimensions
    return _with(body, extra)


def rerank_body(query: str, documents: Sequence[str], top_n: int | None, extra: Mapping[str, Any] | None) -> Json:
    """The request, in Jina's and Cohere's form."""
    _check([query], "/query")
    if isinstance(documents, str):
        raise BadRequest("documents is one text, not a list of them", param="/documents", hint="give [text, …]")
    _check(list(documents), "/documents")
    body: Json = {"query": query, "documents": list(documents)}
    if top_n is not None:
        body["top_n"] = top_n
    return _with(body, extra)


def embeddings_of(raws: Sequence[Json], counts: Sequence[int], head: Head, target: str) -> Embeddings:
    """The record of the answers to all lots. Raises InvalidAnswer for a vector that is missing, odd or too short."""
    found: list[array[float]] = []
    usage = Usage()
    for raw, count in zip(raws, counts, strict=True):
        found += _vectors(raw, count)
        usage += usage_of(raw.get("usage"))
    if len({len(each) for each in found}) != 1:
        raise InvalidAnswer("the vectors have different lengths", pointer="/data", hint="look at the target's model")
    return Embeddings(tuple(found), text_of(raws[0].get("model")), target, usage, request_id_of(head))


def ranking_of(raw: Json, documents: Sequence[str], head: Head, target: str) -> Ranking:
    """The record of a ranking. Raises InvalidAnswer."""
    results = raw.get("results")
    if not isinstance(results, list):
        raise InvalidAnswer("the ranking holds no results", pointer="/results")
    ranked = list(_ranked(cast("list[object]", results), documents))
    ranked.sort(key=lambda each: -each.score)
    return Ranking(tuple(ranked), text_of(raw.get("model")), target, usage_of(raw.get("usage")), request_id_of(head))


def _ranked(results: list[object], documents: Sequence[str]) -> Iterator[Ranked]:
    for place, result in enumerate(results):
        fields = cast("Json", result) if isinstance(result, dict) else {}
        index, score = fields.get("index"), fields.get("relevance_score", fields.get("score"))
        if not isinstance(index, int) or not 0 <= index < len(documents) or not isinstance(score, (int, float)):
            raise InvalidAnswer("a result of the ranking names no document", pointer=f"/results/{place}")
        yield Ranked(index, float(score), documents[index])


def _vectors(raw: Json, count: int) -> list[array[float]]:
    """The vectors of one answer, by their `index`."""
    data = raw.get("data")
    entries = cast("list[object]", data) if isinstance(data, list) else []
    if len(entries) != count:
        raise InvalidAnswer(f"{count} texts gave {len(entries)} vectors", pointer="/data", hint="ask again")
    found: dict[int, array[float]] = {}
    for place, entry in enumerate(entries):
        fields = cast("Json", entry) if isinstance(entry, dict) else {}
        index = fields.get("index", place)
        found[index if isinstance(index, int) else place] = _vector(fields.get("embedding"), place)
    if sorted(found) != list(range(count)):
        raise InvalidAnswer("the vectors are not numbered from 0", pointer="/data", hint="ask again")
    return [found[place] for place in range(count)]


def _vector(value: object, place: int) -> array[float]:
    """Base64 of little-endian float32, or a list of numbers from a target that knows no base64."""
    try:
        if isinstance(value, str):
            vector = array("f", base64.b64decode(value, validate=True))
            if sys.byteorder == "big":
                vector.byteswap()
        else:
            vector = array("f", cast("list[float]", value))
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        raise InvalidAnswer("a vector that is none", pointer=f"/data/{place}/embedding") from error
    if not vector:
        raise InvalidAnswer("a vector without numbers", pointer=f"/data/{place}/embedding")
    return vector


def _check(texts: Sequence[object], param: str) -> None:
    if not texts:
        raise BadRequest("there are no texts", param=param, hint="give at least one")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise BadRequest(f"text {place} is no text", param=f"{param}/{place}", hint="give strings")


def _with(body: Json, extra: Mapping[str, Any] | None) -> Json:
    if taken := sorted(({*body, "model"}) & set(extra or {})):
        raise BadRequest(f"extra holds {taken[0]!r}, which has an argument of its own", param=f"/{taken[0]}")
    return {**body, **(extra or {})}
