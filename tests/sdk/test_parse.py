# SPDX-License-Identifier: GPL-3.0-or-later
"""`parse`: a type in, an instance out, or an error that says where it does not fit."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from pydantic import BaseModel, Field, field_validator
from sdk_canary import CANARY
from typing_extensions import TypedDict

from llama_orch_utils import AsyncClient, BadRequest, Client, InvalidAnswer, UnsupportedByTarget
from llama_orch_utils.structured import concise
from llama_orch_utils.structured.shape import Shape
from llama_orch_utils.testing import FakeTap


class Ticket(BaseModel):
    """A complaint."""

    title: str
    urgency: Literal["low", "high"] = "low"
    parts: list[Ticket] = Field(default_factory=list)


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    barks: bool


class Owner(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    title: str


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Movie(TypedDict):
    name: str
    year: int


class Colour(enum.Enum):
    RED = "red"


TICKET = {"title": "Invoice", "urgency": "high", "parts": [{"title": "a", "urgency": "low", "parts": []}]}


def sent(tap: FakeTap) -> dict[str, Any]:
    form = tap.asked[-1].json["response_format"]
    assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
    return form["json_schema"]["schema"]


def test_a_model_comes_back_as_an_instance(tap: FakeTap, client: Client):
    tap.json(TICKET)
    ticket = client.parse("My invoice is wrong", Ticket, system="Sort it.", temperature=0)
    assert ticket == Ticket.model_validate(TICKET)
    assert isinstance(ticket, Ticket)
    assert tap.asked[0].json["response_format"]["json_schema"]["name"] == "Ticket"
    assert (tap.asked[0].messages[0]["content"], tap.asked[0].json["temperature"]) == ("Sort it.", 0)
    jsonschema.validate(TICKET, sent(tap))


@pytest.mark.parametrize(
    ("shape", "value", "instance"),
    [
        (Point, {"x": 1, "y": 2}, Point(1, 2)),
        (Movie, {"name": "M", "year": 1931}, {"name": "M", "year": 1931}),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (list[int], {"value": [1, 2]}, [1, 2]),
        (int, {"value": 7}, 7),
        (Colour, {"value": "red"}, Colour.RED),
        (Literal["yes", "no"], {"value": "no"}, "no"),
        (Cat | Dog, {"value": {"kind": "dog", "barks": True}}, Dog(kind="dog", barks=True)),
        (list[Point], {"value": [{"x": 1, "y": 0}]}, [Point(1)]),
        (Annotated[int, Field(ge=1)] | None, {"value": None}, None),
    ],
)
def test_any_type_that_pydantic_knows(tap: FakeTap, client: Client, shape: Any, value: Any, instance: Any):
    tap.json(value)
    assert client.parse("hi", shape) == instance
    schema = sent(tap)
    assert schema["type"] == "object", "some targets take objects only"
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(value, schema)


def objects(schema: Any) -> list[dict[str, Any]]:
    inner = [each for part in (schema.values() if isinstance(schema, dict) else schema) if isinstance(part, dict | list)
             for each in objects(part)]  # fmt: skip
    return [schema, *inner] if isinstance(schema, dict) and "properties" in schema else inner


@pytest.mark.parametrize("shape", [Ticket, Owner, Point, Movie, list[Ticket]])
def test_schemas_are_what_strict_targets_take(shape: Any):
    schema = Shape(shape).schema
    assert objects(schema)
    for part in objects(schema):
        if isinstance(part.get("type"), str):
            assert part["additionalProperties"] is False
            assert part["required"] == list(part["properties"])
    assert not [word for word in ("discriminator", "oneOf", "default", "'title': 'T") if word in str(schema)]


@pytest.mark.parametrize(
    ("text", "pointer", "words"),
    [
        ('{"title": "x", "urgency": "mid", "parts": []}', "/urgency", "/urgency Input should be 'low' or 'high'"),
        ('{"title": "x", "urgency": "low", "parts": [{"title": 1}]}', "/parts/0/title", "valid string"),
        ('{"urgency": "low"}', "/title", "required"),
        ("Sure! Here is it: {}", "", "Invalid JSON"),
        ("", "", "Invalid JSON"),
        ("[]", "", "object"),
    ],
)
def test_what_does_not_fit_is_an_error_with_the_place_and_the_text(
    tap: FakeTap, client: Client, text: str, pointer: str, words: str
):
    tap.answer([text])
    with pytest.raises(InvalidAnswer, match=words) as caught:
        client.parse("hi", Ticket)
    error = caught.value
    assert (error.pointer, error.text, error.target, error.request_id) == (pointer, text, tap.url, "req-1")
    assert error.hint
    assert len(tap.asked) == 1, "no second try unless it is asked for"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"pieces": '{"title": "x', "finish_reason": "length"}, r"cut after 1 tokens \(finish_reason length\)"),
        ({"pieces": '{"title": "x"}', "finish_reason": "length"}, "cut"),
        ({"pieces": "", "refusal": "I will not."}, "refused: I will not"),
        ({"pieces": "", "finish_reason": "content_filter"}, "content filter"),
    ],
)
def test_an_answer_that_ended_early_is_never_an_instance(tap: FakeTap, client: Client, fields: Any, words: str):
    tap.answer(**fields)
    with pytest.raises(InvalidAnswer, match=words) as caught:
        client.parse("hi", Ticket, repairs=3)
    assert caught.value.text == fields["pieces"]
    assert len(tap.asked) == 1


def test_repairs_hand_the_fault_back(tap: FakeTap, client: Client):
    tap.json({"title": "x", "urgency": "mid", "parts": []}).json({"title": 1}).json(TICKET)
    assert client.parse("hi", Ticket, repairs=2, system="S").title == "Invoice"
    roles = [message["role"] for message in tap.asked[-1].messages]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    assert "/urgency Input should be" in tap.asked[-1].messages[3]["content"]
    tap.json({"title": 1}).json({"title": 2})
    with pytest.raises(InvalidAnswer):
        client.parse("hi", Ticket, repairs=1)
    assert len(tap.asked) == 5


def test_validators_of_the_model_count(tap: FakeTap, client: Client):
    class Even(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def is_even(cls, value: int) -> int:
            if value % 2:
                raise ValueError("odd numbers will not do")
            return value

    tap.json({"number": 3}).json({"number": 4})
    assert client.parse("hi", Even, repairs=1).number == 4
    assert "odd numbers will not do" in tap.asked[-1].messages[-1]["content"]


def test_what_the_target_refuses_of_a_schema_keeps_its_pointer(tap: FakeTap, client: Client):
    where = "/response_format/json_schema/schema/properties/title/pattern"
    tap.error(400, "pattern is not supported", code="unsupported", param=where, capability="pattern")
    with pytest.raises(UnsupportedByTarget) as caught:
        client.parse("hi", Ticket)
    assert (caught.value.param, caught.value.capability) == (where, "pattern")


def test_tools_and_a_shape_together(tap: FakeTap, client: Client):
    def number() -> int:
        return 4

    tap.call("number").json({"value": 4})
    assert client.parse("hi", int, tools=[number]) == 4
    assert len(tap.asked) == 2
    tap.call("search")
    search = {"type": "function", "function": {"name": "search"}}
    with pytest.raises(InvalidAnswer, match="a call of the tool search"):
        client.parse("hi", int, tools=[search])


def test_what_cannot_be_asked_for(tap: FakeTap, client: Client):
    for shape in (object, type(lambda: 1), "NoSuchType"):
        if shape is not object:
            with pytest.raises(BadRequest, match="cannot be asked for") as caught:
                client.parse("hi", shape)
            assert caught.value.hint
    with pytest.raises(BadRequest, match="parse makes the response format"):
        client.parse("hi", int, response_format={"type": "text"})
    assert not tap.asked


def test_the_async_client_parses_too(tap: FakeTap):
    async def main() -> None:
        async with AsyncClient(tap.url, key=CANARY, model="m") as client:
            tap.json(TICKET)
            assert (await client.parse("hi", Ticket)).urgency == "high"
            tap.json({"title": 1})
            with pytest.raises(InvalidAnswer):
                await client.parse("hi", Ticket)

    asyncio.run(main())


def test_the_short_form_of_a_schema():
    schema = concise.read("name, age int,bio: a short biography, score float : 0 to 1, ok bool")
    assert schema["properties"] == {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "bio": {"type": "string", "description": "a short biography"},
        "score": {"type": "number", "description": "0 to 1"},
        "ok": {"type": "boolean"},
    }
    assert schema["required"] == list(schema["properties"])
    lines = concise.read("name: first, middle, last\n\nage int\n")
    assert lines["properties"]["name"]["description"] == "first, middle, last"
    assert [concise.looks_concise(text) for text in ("name", "a int, b", "x.json", "./a", "a/b.json", "")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip
    for wrong in ("name strange", "a, a", "1a", ",", "name, 2 int"):
        with pytest.raises(BadRequest) as caught:
            concise.read(wrong)
        assert caught.value.hint


def test_a_set_is_asked_for_as_a_list_and_drops_what_comes_twice(tap: FakeTap, client: Client):
    tap.json({"value": ["a", "a", "b"]})
    assert client.parse("letters", set[str]) == {"a", "b"}
    assert "uniqueItems" not in str(tap.asked[-1].json["response_format"])
