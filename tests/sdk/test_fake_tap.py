# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake tap itself: what it answers unscripted, and how it tells what was asked."""

from __future__ import annotations

import dataclasses
from typing import Literal

import jsonschema
import openai
import pytest
from pydantic import BaseModel, Field

from llama_orch_utils import Client
from llama_orch_utils.structured.shape import Shape
from llama_orch_utils.testing import FakeCall, FakeTap
from llama_orch_utils.testing.sample import smallest


@dataclasses.dataclass
class Point:
    x: int
    y: float | None


class Tree(BaseModel):
    name: str = Field(min_length=2)
    kind: Literal["oak", "elm"]
    size: int = Field(gt=3)
    points: list[Point] = Field(min_length=1)
    children: list["Tree"]  # noqa: UP037 - of itself
    more: dict[str, int]
    parent: "Tree | None" = None  # noqa: UP037


@pytest.mark.parametrize("shape", [Tree, Point, list[Tree], int, bool, Literal["a"], str | None])
def test_unscripted_it_answers_what_fits(tap: FakeTap, client: Client, shape: type):
    schema = Shape(shape).schema
    jsonschema.validate(smallest(schema), schema)
    client.parse("hi", shape)


def test_schemas_without_a_smallest_value_end_all_the_same():
    endless = {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}},
               "required": ["a"]}}}  # fmt: skip
    assert isinstance(smallest(endless), dict)


def test_the_openai_package_reads_its_calls_thoughts_and_vectors(tap: FakeTap, client: Client):
    """The fake is as the real thing: another reader of the same wire sees the same."""
    with client.openai_kwargs()["http_client"] as http:
        reader = openai.OpenAI(base_url=tap.url, api_key="k", http_client=http)
        calls = [FakeCall("one", {"x": 1}), FakeCall("two", "{}")]
        ask = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        tap.calls(*calls, pieces=("Let me see.",))
        message = reader.chat.completions.create(**ask).choices[0].message  # type: ignore[call-overload]
        assert [(call.function.name, call.function.arguments) for call in message.tool_calls] == [
            ("one", '{"x": 1}'), ("two", "{}"),
        ]  # fmt: skip
        tap.calls(*calls)
        with reader.chat.completions.stream(**ask) as stream:
            final = stream.get_final_completion().choices[0]
        assert (final.finish_reason, len(final.message.tool_calls or [])) == ("tool_calls", 2)
        tap.vectors((0.5, 0.25))
        assert reader.embeddings.create(model="m", input="x").data[0].embedding == [0.5, 0.25]


def test_it_tells_what_was_asked(tap: FakeTap, client: Client):
    client.chat("hi", tools=[{"type": "function", "function": {"name": "x"}}])
    assert tap.asked[0].tools == ["x"]
    tap.capabilities = ("tools", "vision")
    assert client.models()[0].capabilities == {"tools", "vision"}
