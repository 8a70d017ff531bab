# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Schemas made into llguidance's grammars, with the place of what cannot be."""

from __future__ import annotations

import json
from typing import Any

from llama_orch.engine.grammar.excess import excess, is_limit
from llama_orch.engine.grammar.mask_constraint import MaskConstraint, words
from llama_orch.engine.grammar.schema_check import read
from llama_orch.engine.grammar.schema_text import PARAM, Json, at, subschemas
from llama_orch.engine.grammar.tokenizer import tokenizer_of
from llama_orch.engine.vocabulary import Vocabulary
from llama_orch_utils.errors import BadRequest, UnsupportedByTarget

OPTIONS = {"whitespace_pattern": " ", "json_allowed_escapes": 'nrbtf\\"'}
"""White space between two words of JSON is one blank at most: an unsure model loses itself in more.

Of escapes those that JSON needs: `\\u0066oo` is the name `foo`, and llguidance takes it for another.
"""
_MAX_PARTS_TO_SEARCH = 300


class SchemaConstraint(MaskConstraint):
    """One answer's way through a JSON schema, given as text.

    Raises UnsupportedByTarget or BadRequest with the JSON pointer of the culprit in `param`.
    """

    def __init__(self, vocabulary: Vocabulary, text: str) -> None:
        tokenizer, schema = tokenizer_of(vocabulary), read(text)
        matcher = _compile(tokenizer, schema, PARAM)
        if matcher.is_error():
            raise refusal(tokenizer, schema, PARAM, words(matcher))
        super().__init__(vocabulary, matcher, "JSON schema", PARAM)


def with_options(schema: Json) -> Json:
    """The schema with our options, unless it has its own; as the last keyword: llguidance reorders what follows."""
    return schema if "x-guidance" in schema else {**schema, "x-guidance": OPTIONS}


def weakened(tokenizer: Any, schema: Json, where: str, *, loose: bool) -> Json | None:
    """None where the schema alone can be made into a grammar; else, if `loose`, one that can be and takes more.

    Raises BadRequest with the place that cannot be held where it must be.
    """
    matcher = _compile(tokenizer, schema, where)
    if not matcher.is_error():
        return None
    if not loose:
        raise refusal(tokenizer, schema, where, words(matcher))
    lenient = {**schema, "x-guidance": {**OPTIONS, "lenient": True, "coerce_one_of": True}}
    return {"type": "object"} if _compile(tokenizer, lenient, where).is_error() else lenient


def refusal(tokenizer: Any, schema: Json, where: str, said: str) -> BadRequest:
    """The error for a schema that llguidance refuses by these words."""
    place = _place(tokenizer, schema, where, said)
    message = f"The JSON schema cannot be used: {said}"
    part = at(schema, place)
    if said.startswith("oneOf") and isinstance(part, dict) and "oneOf" in part:
        message = "It cannot be told that the branches of a oneOf exclude each other."
        hint = "use anyOf, or give each branch a constant of its own"
        return UnsupportedByTarget(message, capability="oneOf", param=f"{where}{place}/oneOf", hint=hint)
    return (excess if is_limit(said) else BadRequest)(message, param=where + place)


def _compile(tokenizer: Any, schema: Json, where: str) -> Any:
    from llguidance import LLMatcher

    make: Any = LLMatcher
    guided = with_options(schema)
    try:
        grammar = LLMatcher.grammar_from_json_schema(json.dumps(guided))
    except ValueError as error:  # what its JSON reader does not take, numbers beyond a double among them
        raise BadRequest(f"The JSON schema cannot be used: {error}", param=where) from error
    return make(tokenizer, grammar, log_level=0)


def _place(tokenizer: Any, schema: Json, where: str, said: str) -> str:
    """The JSON pointer of the innermost part that alone gives the same error; llguidance tells no place."""
    parts = list(subschemas(schema))
    if len(parts) > _MAX_PARTS_TO_SEARCH:
        return ""
    for pointer, part in reversed(parts):
        if words(_compile(tokenizer, part, where)) == said:
            return pointer
    return ""
