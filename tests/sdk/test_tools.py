# SPDX-License-Identifier: GPL-3.0-or-later
"""Tools: what a function becomes for a model, and the loop that runs what the model calls."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import enum
import json
import threading
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from sdk_canary import CANARY

from llama_orch_utils import (
    Answer,
    AsyncClient,
    BadRequest,
    Client,
    InvalidAnswer,
    StepsExhausted,
    StreamBroken,
    Tool,
    ToolCall,
    ToolError,
    Usage,
    tool,
)
from llama_orch_utils.testing import FakeCall, FakeTap
from llama_orch_utils.tools import docstring

QUESTION: dict[str, Any] = {"role": "user", "content": "Do I need a coat?"}
FOR_CITY = {"city": "Utrecht"}


@tool
def weather(city: str, days: Annotated[int, Field(ge=1, le=9)] = 1) -> str:
    """Weather of a city, in words.

    Args:
        city: which one; with its country
            where names are not unique
        days: how many

    Returns:
        words
    """
    return f"rain in {city} for {days}"


@tool
async def clock() -> dict[str, int]:
    "The time."
    await asyncio.sleep(0)
    return {"hour": 3}


def noting(ran: list[str]) -> Tool[..., None]:
    """A tool that notes its runs."""

    def note(text: str) -> None:
        ran.append(text)

    return Tool(note)


def plainly(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}


def test_a_function_becomes_a_definition_and_stays_a_function():
    assert weather("Utrecht", days=2) == "rain in Utrecht for 2"
    function = weather.definition()["function"]
    assert (function["name"], function["description"]) == ("weather", "Weather of a city, in words.")
    schema = function["parameters"]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["city"] == {
        "type": "string", "description": "which one; with its country where names are not unique",
    }  # fmt: skip
    assert schema["properties"]["days"]["maximum"] == 9
    assert (schema["required"], schema["additionalProperties"]) == (["city"], False)
    assert weather.__name__ == "weather"
    assert weather.__doc__


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Place:
    city: str
    country: str = "NL"


class Order(BaseModel):
    amount: int = Field(gt=0)
    when: dt.date


def everything(
    place: Place, order: Order, colour: Colour, tags: list[str], size: Literal["s", "m"], odd: int | None = None
) -> Any:
    """Takes everything."""
    return [place, order, colour, tags, size, odd]


def test_models_dataclasses_enums_and_dates_come_converted():
    contract = Tool(everything).contract
    arguments = {"place": {"city": "Utrecht"}, "order": {"amount": 1, "when": "2026-11-21"}, "colour": "red",
                 "tags": ["a"], "size": "m"}  # fmt: skip
    jsonschema.validate(arguments, contract.parameters)
    read = contract.read(json.dumps(arguments))
    assert read["place"] == Place("Utrecht")
    assert read["order"] == Order(amount=1, when=dt.date(2026, 11, 21))
    assert (read["colour"], read["size"]) == (Colour.RED, "m")


GOOGLE = """Does it.

More.

Args:
    one (int): first
        and on
    *two: second

Returns:
    x
"""
NUMPY = """Does it.

More.

Parameters
----------
one : int
    first
    and on
two
    second

Returns
-------
int
    x
"""
SPHINX = """Does it.

More.

:param int one: first
    and on
:param two: second
:returns: x
"""


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ("google", GOOGLE),
        ("numpy", NUMPY),
        ("sphinx", SPHINX),
    ],
)
def test_docstrings_of_three_styles(style: str, text: str):
    assert docstring.read(text) == ("Does it.\n\nMore.", {"one": "first and on", "two": "second"}), style


@settings(max_examples=300)
@given(st.text(alphabet=" \nabc:-()*Args\t", max_size=80))
def test_no_docstring_is_too_odd(text: str):
    told, arguments = docstring.read(text)
    assert isinstance(told, str)
    assert all(isinstance(each, str) for each in arguments.values())


def test_methods_lambdas_and_objects():
    class Store:
        def __init__(self, name: str) -> None:
            self.name = name

        @tool
        def find(self, word: str) -> str:
            "Find a word."
            return f"{word} in {self.name}"

        def __call__(self, word: str) -> str:
            "Call it."
            return word

    store = Store("attic")
    assert store.find("hat") == "hat in attic"
    assert list(store.find.parameters["properties"]) == ["word"]
    assert list(Tool(store, name="store").parameters["properties"]) == ["word"]
    with pytest.raises(ToolError, match="cannot be the name of a tool"):
        Tool(lambda: 1)
    assert Tool(lambda: 1, name="one").parameters == {"additionalProperties": False, "properties": {}, "type": "object"}


@pytest.mark.parametrize("odd", ["positional", "star", "socket", "unknown"])
def test_what_cannot_be_a_tool_says_why(odd: str, tap: FakeTap, client: Client):
    def positional(a: int, /) -> int:
        return a

    def star(*a: int) -> int:
        return len(a)

    def socket(a: threading.Lock) -> None: ...

    def unknown(a: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821, UP037

    function = {"positional": positional, "star": star, "socket": socket, "unknown": unknown}[odd]
    with pytest.raises(ToolError) as caught:
        client.chat("hi", tools=[function])
    assert caught.value.tool == odd
    assert not tap.asked


def test_the_loop_runs_what_is_called_and_ends_with_the_answer(tap: FakeTap, client: Client):
    tap.calls(FakeCall("weather", FOR_CITY, id="call_7"), FakeCall("clock"), reasoning=("hm",), pieces=("Let me see.",))
    tap.answer("Take a coat.")
    answer = client.chat(QUESTION["content"], tools=[weather, clock], temperature=0)
    assert (answer.text, answer.steps, answer.finish_reason) == ("Take a coat.", 2, "stop")
    assert answer.tool_calls == ()
    first, second = tap.asked
    assert first.tools == ["weather", "clock"] == second.tools
    assert second.json["temperature"] == 0
    call = {"id": "call_7", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Utrecht"}'}}
    assert second.messages[0] == QUESTION
    assert second.messages[1]["tool_calls"][0] == call
    assert (second.messages[1]["content"], second.messages[1]["reasoning_content"]) == ("Let me see.", "hm")
    assert second.messages[2:] == [
        {"role": "tool", "content": "rain in Utrecht for 1", "tool_call_id": "call_7"},
        {"role": "tool", "content": '{"hour":3}', "tool_call_id": "call_fake_1"},
    ]
    assert list(answer.messages) == [*second.messages[1:], {"role": "assistant", "content": "Take a coat."}]
    assert answer.usage.input_tokens == sum(
        len(str(message.get("content", "")).split()) for asked in tap.asked for message in asked.messages
    )
    assert json.loads(json.dumps(answer.to_dict()))["steps"] == 2


def test_the_history_goes_on_with_tool_turns(tap: FakeTap, client: Client):
    tap.call("weather", FOR_CITY).answer("Take a coat.").answer("You are welcome.")
    history: list[Any] = [QUESTION]
    history += client.chat(history, tools=[weather]).messages
    history.append({"role": "user", "content": "Thanks"})
    client.chat(history, tools=[weather])
    assert [message["role"] for message in tap.asked[-1].messages] == ["user", "assistant", "tool", "assistant", "user"]


def test_the_stream_of_a_loop(tap: FakeTap, client: Client):
    tap.calls(FakeCall("weather", FOR_CITY), FakeCall("clock"), reasoning=("hm",)).answer(["Take ", "a coat."])
    with client.stream("coat?", tools=[weather, clock]) as stream:
        pieces = list(stream)
    kinds = ["call" if each.call else "result" if each.result else "thought" if each.reasoning else each.text
             for each in pieces]  # fmt: skip
    assert kinds == ["thought", "call", "call", "result", "result", "Take ", "a coat."]
    assert pieces[1].call == ToolCall("call_fake_0", "weather", json.dumps(FOR_CITY))
    assert pieces[1].call.values == FOR_CITY
    assert pieces[3].result is not None
    assert (pieces[3].result.text, pieces[3].result.failed) == ("rain in Utrecht for 1", False)
    assert (stream.answer.text, stream.answer.steps, len(stream.answer.messages)) == ("Take a coat.", 2, 4)
    tap.calls(FakeCall("weather", FOR_CITY), FakeCall("clock"), reasoning=("hm",)).answer(["Take ", "a coat."])
    whole = client.chat("coat?", tools=[weather, clock])
    assert dataclasses.replace(whole, request_id=None) == dataclasses.replace(stream.answer, request_id=None)


def test_a_call_comes_whole_however_it_is_cut(tap: FakeTap, client: Client):
    """Deltas as other servers send them: no index, the arguments as an object at the end, half an emoji per event."""
    parts = [
        {"id": "a", "function": {"name": "one", "arguments": ""}},
        {"function": {"arguments": '{"x": "\\ud83d'}},
        {"function": {"arguments": '\\ude00"}'}},
        {"id": "b", "function": {"name": "two", "arguments": {"y": 1}}},
    ]
    events = [{"choices": [{"index": 0, "delta": {"tool_calls": [part]}}]} for part in parts]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    body = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events) + b"data: [DONE]\n\n"
    from llama_orch_utils.testing import Script

    tap.script(Script(body=body, headers={"content-type": "text/event-stream"}))
    with client.stream("hi", tools=[plainly("one"), plainly("two")]) as stream:
        calls = [each.call for each in stream if each.call]
    assert [(call.id, call.name, call.values) for call in calls] == [
        ("a", "one", {"x": "😀"}),
        ("b", "two", {"y": 1}),
    ]
    assert stream.answer.tool_calls == tuple(calls)


def test_a_stream_that_breaks_in_a_call_runs_nothing(tap: FakeTap, client: Client):
    ran: list[str] = []
    from llama_orch_utils.testing import Script

    tap.script(Script(calls=(FakeCall("note", {"text": "x" * 100}),), cut=3))
    with client.stream("hi", tools=[noting(ran)]) as stream, pytest.raises(StreamBroken):
        list(stream)
    assert ran == []


def test_plain_definitions_are_not_run(tap: FakeTap, client: Client):
    tap.calls(FakeCall("weather", FOR_CITY), FakeCall("search", {"q": "x"}))
    answer = client.chat("hi", tools=[weather, plainly("search")], parallel_tool_calls=True)
    assert [call.name for call in answer.tool_calls] == ["weather", "search"]
    assert (answer.finish_reason, answer.steps, len(tap.asked)) == ("tool_calls", 1, 1)
    assert answer.messages[0]["tool_calls"][1]["function"]["name"] == "search"  # type: ignore[index]
    assert tap.asked[0].json["parallel_tool_calls"] is True
    assert "calls weather" in repr(answer)
    tap.call("weather", FOR_CITY).answer("ok")
    assert client.chat("hi", tools=[weather, plainly("search")]).text == "ok"


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("required", "required"),
        ("auto", "auto"),
        ("weather", {"type": "function", "function": {"name": "weather"}}),
        (weather, {"type": "function", "function": {"name": "weather"}}),
        ({"type": "function", "function": {"name": "weather"}}, {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_a_choice_counts_until_a_call_was_made(tap: FakeTap, client: Client, choice: Any, sent: Any):
    tap.call("weather", FOR_CITY).answer("ok")
    client.chat("hi", tools=[weather], tool_choice=choice)
    assert tap.asked[0].json["tool_choice"] == sent
    assert tap.asked[1].json.get("tool_choice") == ("auto" if choice == "auto" else None)


def test_what_goes_wrong_with_a_call_is_told_to_the_model(
    tap: FakeTap, client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MY_DB_PASSWORD", "hunter2hunter2")

    def lookup(number: int) -> str:
        raise LookupError(f"no row {number} at https://joe:secretword@db/x with {CANARY}, hunter2hunter2")

    def polite() -> str:
        raise ToolError("closed on Sundays")

    calls = [FakeCall("lookup", {"number": 4}), FakeCall("polite"), FakeCall("nowhere"), FakeCall("lookup", "{broken"),
             FakeCall("lookup", {"number": "x", "more": 1}), FakeCall("lookup", "[]")]  # fmt: skip
    tap.calls(*calls).answer("Sorry.")
    assert client.chat("hi", tools=[lookup, polite]).text == "Sorry."
    told = [message["content"] for message in tap.asked[-1].messages if message["role"] == "tool"]
    assert told[0] == "error: LookupError: no row 4 at https://[key]@db/x with [key], [key]"
    assert told[1:3] == ["error: closed on Sundays", "error: there is no tool 'nowhere'; there are: lookup, polite"]
    assert all(each.startswith("error: ") for each in told)
    assert "number" in told[4]
    assert "more" in told[4]
    everything = json.dumps(tap.asked[-1].messages)
    assert not [each for each in ("hunter2", "secretword", CANARY, "Traceback", ".py") if each in everything]


def test_errors_can_be_raised_instead(tap: FakeTap, client: Client):
    def broken() -> str:
        raise ZeroDivisionError(f"with {CANARY}")

    for ask in (client.chat, lambda *a, **o: list(client.stream(*a, **o))):
        tap.call("broken")
        with pytest.raises(ToolError, match="the tool broken failed: ZeroDivisionError") as caught:
            ask("hi", tools=[broken], tool_errors="raise")
        assert CANARY not in str(caught.value)
        assert caught.value.tool == "broken"
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_steps_have_an_end(tap: FakeTap, client: Client):
    ran: list[str] = []

    def again(word: str = "") -> str:
        ran.append(word)
        return "again"

    def streamed(prompt: str, **options: Any) -> None:
        list(client.stream(prompt, **options))

    for ask in (client.chat, streamed):
        ran.clear()
        for _ in range(3):
            tap.call("again")
        with pytest.raises(StepsExhausted, match="after 3 steps") as caught:
            ask("hi", tools=[again], max_steps=3)
        assert (caught.value.steps, len(ran)) == (3, 2)
        assert [message["role"] for message in caught.value.messages] == ["assistant", "tool"] * 2
        assert caught.value.hint
    for _ in range(8):
        tap.call("again")
    with pytest.raises(StepsExhausted, match="after 8 steps"):
        client.chat("hi", tools=[again])


def test_a_cut_call_is_not_run(tap: FakeTap, client: Client):
    ran: list[str] = []
    tap.call("note", '{"text": "half', finish_reason="length")
    answer = client.chat("hi", tools=[noting(ran)])
    assert (answer.finish_reason, len(answer.tool_calls), ran) == ("length", 1, [])
    with pytest.raises(InvalidAnswer):
        _ = answer.tool_calls[0].values
    assert "tool_calls" not in answer.messages[0]
    tap.call("note", "", finish_reason="length")
    with client.stream("hi", tools=[noting(ran)]) as stream:
        assert [piece for piece in stream if piece.call] == [], "half a call is no piece"
    assert (stream.answer.tool_calls[0].arguments, ran) == ("", [])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tools": [weather, weather]}, "two tools are called weather"),
        ({"tools": [{"name": "x"}]}, "tool 0 is no definition"),
        ({"tools": [weather], "tool_choice": "nowhere"}, "none of the tools"),
        ({"tool_choice": "weather"}, "none of the tools"),
        ({"tools": [weather], "max_steps": 0}, "max_steps"),
        ({"tools": [weather], "tool_errors": "hide"}, "tool_errors"),
        ({"tools": [weather], "extra": {"tools": []}}, "extra holds 'tools'"),
    ],
)
def test_odd_options_are_refused_before_anything_is_sent(tap: FakeTap, client: Client, options: Any, words: str):
    with pytest.raises(BadRequest, match=words) as caught:
        client.chat("hi", **options)
    assert caught.value.hint
    with pytest.raises(BadRequest, match=words):
        client.stream("hi", **options)
    assert not tap.asked


def test_the_sync_client_runs_tools_in_order_in_its_own_thread(tap: FakeTap, client: Client):
    seen: list[tuple[str, bool]] = []

    def note(word: str) -> None:
        seen.append((word, threading.current_thread() is threading.main_thread()))

    async def later(word: str) -> None:
        await asyncio.sleep(0)
        seen.append((word, threading.current_thread() is threading.main_thread()))

    tap.calls(FakeCall("note", {"word": "a"}), FakeCall("later", {"word": "b"}), FakeCall("note", {"word": "c"}))
    client.chat("hi", tools=[note, later])
    assert seen == [("a", True), ("b", False), ("c", True)]
    told = [message["content"] for message in tap.asked[-1].messages if message["role"] == "tool"]
    assert told == ["null", "null", "null"]


def test_async_tools_work_where_a_loop_runs_already(tap: FakeTap, client: Client):
    tap.call("clock").answer("three")

    async def notebook() -> str:
        return client.chat("hi", tools=[clock]).text

    assert asyncio.run(notebook()) == "three"


Body = Callable[[AsyncClient], Any]


def run(tap: FakeTap, body: Body) -> None:
    async def main() -> None:
        async with AsyncClient(tap.url, key=CANARY, model="fake-model") as client:
            await asyncio.wait_for(body(client), 30)

    asyncio.run(main())


def test_the_async_client_runs_the_calls_of_a_step_at_once(tap: FakeTap):
    both = threading.Barrier(2, timeout=10)

    def meet(word: str) -> str:
        both.wait()
        return word

    async def body(client: AsyncClient) -> None:
        met = asyncio.Barrier(2)

        async def meet_too(word: str) -> str:
            await met.wait()
            return word

        for name in ("meet", "meet_too"):
            tap.calls(FakeCall(name, {"word": "a"}), FakeCall(name, {"word": "b"})).answer(["o", "k"])
            async with client.stream("hi", tools=[meet, meet_too]) as stream:
                pieces = [each async for each in stream]
            assert [each.result.text for each in pieces if each.result] == ["a", "b"]
            assert (stream.answer.text, stream.answer.steps) == ("ok", 2)
            tap.calls(FakeCall(name, {"word": "a"}), FakeCall(name, {"word": "b"})).answer("ok")
            assert (await client.chat("hi", tools=[meet, meet_too])).steps == 2

    run(tap, body)


def test_a_cancelled_task_cancels_its_tools(tap: FakeTap):
    ended: list[str] = []

    async def body(client: AsyncClient) -> None:
        begun = asyncio.Event()

        async def slow() -> None:
            begun.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        async def drained() -> None:
            async for _ in client.stream("hi", tools=[slow]):
                pass

        for ask in (lambda: client.chat("hi", tools=[slow]), drained):
            tap.call("slow")
            begun.clear()
            task = asyncio.ensure_future(ask())
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(tap, body)
    assert ended == ["cancelled", "cancelled"]


def test_a_raised_failure_ends_the_other_tools(tap: FakeTap):
    async def body(client: AsyncClient) -> None:
        async def slow() -> None:
            await asyncio.sleep(60)

        async def broken() -> None:
            raise ValueError("no")

        tap.calls(FakeCall("slow"), FakeCall("broken"))
        begun = time.monotonic()
        with pytest.raises(ToolError, match="broken"):
            await client.chat("hi", tools=[slow, broken], tool_errors="raise")
        assert time.monotonic() - begun < 20

    run(tap, body)


def test_a_stream_can_be_closed_while_a_tool_runs(tap: FakeTap, client: Client):
    streams: list[Any] = []

    def stop() -> str:
        streams[0].close()
        return "stopped"

    tap.call("stop").answer("never read")
    streams.append(client.stream("hi", tools=[stop]))
    pieces = list(streams[0])
    assert [bool(each.result) for each in pieces] == [False, True]
    assert len(tap.asked) == 1


def test_usage_is_added_up():
    whole = Usage(1, 2, 3, 4) + Usage(10, 20, 30, 40)
    assert whole == Usage(11, 22, 33, 44)
    assert Answer("", "", "", "stop", whole).usage.total_tokens == 33


def test_odd_functions_and_odd_results(tap: FakeTap, client: Client, recwarn: pytest.WarningsRecorder):
    nothing = object()

    def loose(given=nothing, **more: int):
        return {"given": given is nothing, "more": more, "odd": {1, 2}, "nan": float("nan")}

    def ends() -> str:
        raise StopIteration

    def half() -> str:
        return "half \ud83d"

    def endless() -> Any:
        loop: list[Any] = []
        loop.append(loop)
        return loop

    assert Tool(loose).parameters["additionalProperties"] == {"type": "integer"}
    calls = [FakeCall("loose", {"x": 1}), FakeCall("ends"), FakeCall("half"), FakeCall("endless")]
    functions = [loose, ends, half, endless]
    tap.calls(*calls).answer("ok")
    assert client.chat("hi", tools=functions).text == "ok"
    told = [message["content"] for message in tap.asked[-1].messages if message["role"] == "tool"]
    assert told[0] == '{"given":true,"more":{"x":1},"odd":[1,2],"nan":"NaN"}'
    assert told[1:3] == ["error: StopIteration", "half \ufffd"]
    assert told[3].startswith("error: PydanticSerializationError")

    async def body(asynchronous: AsyncClient) -> None:
        tap.calls(*calls).answer("ok")
        assert (await asynchronous.chat("hi", tools=functions)).text == "ok"

    run(tap, body)
    assert not recwarn.list


@pytest.mark.parametrize("tools", [print, "weather", {"type": "function"}, 3])
def test_tools_that_are_no_list(tap: FakeTap, client: Client, tools: Any):
    with pytest.raises(BadRequest, match="tools is no list"):
        client.chat("hi", tools=tools)
    assert tap.asked == []
