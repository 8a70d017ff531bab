# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON Schemas say what is taken and given: no more and no less."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from test_responses_request import REFUSED, TREES, WRONG, F, call, output
from test_responses_stream import HEAD, TOOLS, USAGE, generation

from llama_orch.tap.responses.item import stored
from llama_orch.tap.responses.listing import page
from llama_orch.tap.responses.question import Question
from llama_orch.wire.generation import Choice, ToolCall, Whole
from llama_orch.wire.responses import DIALECT, schema
from llama_orch.wire.responses.stream import EventStream
from llama_orch_utils.errors import BadRequest, EngineFailed, OrchError

TAKEN = jsonschema.Draft202012Validator(schema.REQUEST)
GIVEN = jsonschema.Draft202012Validator(schema.ANSWER)
EVENT = jsonschema.Draft202012Validator(schema.STREAM)

BETWEEN_FIELDS = (
    "no call before this output",
    "two tools named",
    "there are no tools",
    "tool named",
    "is not supported here",
    "is kept between requests",
)
"""What a schema cannot say: it relates fields to each other, or asks for what is stored."""


@pytest.mark.parametrize("schema_", [schema.REQUEST, schema.ANSWER, schema.STREAM, schema.ITEMS, schema.ERROR])
def test_the_schemas_are_schemas(schema_: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_)


@pytest.mark.parametrize("body", [body for body, _ in WRONG] + [body for body, _, _ in REFUSED])
def test_what_is_refused_does_not_fit(body: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as caught:
        DIALECT.parse(json.dumps({"input": "Hi"} | body).encode())
    told = caught.value.message
    served_by_the_gateway = {"background", "previous_response_id", "x_orch_expanded"} & set(body)
    reference = "item_reference" in told
    if not (served_by_the_gateway or reference or any(words in told for words in BETWEEN_FIELDS[:4])):
        assert not TAKEN.is_valid({"input": "Hi"} | body)


@settings(max_examples=250, deadline=None)
@given(TREES)
def test_what_is_taken_fits_and_what_fits_is_taken(body: dict[str, Any]) -> None:
    refusal = ""
    try:
        DIALECT.parse(json.dumps(body).encode("utf-8", "surrogatepass"))
    except OrchError as error:
        refusal = error.message
    if refusal:
        assert not TAKEN.is_valid(body) or any(words in refusal for words in BETWEEN_FIELDS)
    else:
        TAKEN.validate(body)


def test_a_whole_conversation_fits() -> None:
    body: dict[str, Any] = {
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "x"}]},
            {"type": "reasoning", "summary": [], "id": "rs_1", "encrypted_content": ""},
            call("c1", id="fc_1", status="completed", namespace="f"),
            output("c1", [{"type": "input_text", "text": "y"}]),
        ],
        "tools": [F, *TOOLS[1:]],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}},
        "reasoning": {"effort": "low", "summary": "auto"},
        "metadata": {"a": "b"},
    }
    TAKEN.validate(body)
    DIALECT.parse(json.dumps(body).encode())


@pytest.mark.parametrize("summary", [None, "auto"])
def test_every_answer_and_every_event_fits(summary: str | None) -> None:
    asked = generation(reasoning={"summary": summary}, include=["reasoning.encrypted_content"])
    calls = (ToolCall("c1", "f", "{}"), ToolCall("c2", "patch", '{"input": ""}'), ToolCall("c3", "ns__g", "{}"))
    for reason in ("stop", "length", "tool_calls"):
        GIVEN.validate(json.loads(DIALECT.answer(HEAD, Whole((Choice("x", reason, "hm", calls),), USAGE), asked)))
    stream = EventStream(HEAD, asked)
    frames = stream.start(USAGE) + stream.reasoning(0, "h") + stream.text(0, "x", ()) + stream.text(0, "y", ())
    for index, made in enumerate(calls):
        frames += stream.call(0, index, made.id, made.name) + stream.arguments(0, index, made.arguments)
    frames += stream.finish(0, "tool_calls", None) + stream.end(USAGE)
    frames += EventStream(HEAD, asked).fail(EngineFailed("it died"))
    for block in frames.decode().split("\n\n")[:-1]:
        data = block.rpartition("data: ")[2]
        if data != "[DONE]":
            EVENT.validate(json.loads(data))


def test_pages_counts_and_errors_fit() -> None:
    item = stored({"type": "message", "role": "user", "content": "x"})
    jsonschema.validate(json.loads(page([item], Question(b""))), schema.ITEMS)
    jsonschema.validate(json.loads(DIALECT.count(3)), schema.COUNT_ANSWER)
    jsonschema.validate(json.loads(DIALECT.failure(BadRequest("no", param="/a"))), schema.ERROR)
