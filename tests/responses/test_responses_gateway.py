# SPDX-License-Identifier: GPL-3.0-or-later
"""A real gateway before a real worker, asked by the real openai package: what is kept between requests."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from responses_gateway import Gateway

WAIT = 60.0
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "How the weather is.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Rome", "Oslo"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}

# Nothing shorter fits it: the model, whose weights are random, might say that it is done at any moment.
_LONG: Any = {"type": "array", "items": {"enum": [1]}, "minItems": 900}
ENDLESS: dict[str, Any] = {
    "text": {"format": {"type": "json_schema", "name": "long", "schema": _LONG}},
    "max_output_tokens": 1900,
}


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> openai.OpenAI:
    return gateway.client()


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + WAIT
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {WAIT} s for: {what}"
        time.sleep(0.01)
    return found


def ask(client: openai.OpenAI, said: str, **more: Any) -> Response:
    return client.responses.create(**{"model": "tiny", "input": said, "max_output_tokens": 4} | more)


def ended(client: openai.OpenAI, identity: str) -> Response:
    def look() -> Response | None:
        found = client.responses.retrieve(identity)
        return found if found.status not in ("queued", "in_progress") else None

    return until(look, "the end of the response")


def items(client: openai.OpenAI, identity: str) -> list[tuple[str, str]]:
    listed = client.responses.input_items.list(identity, order="asc", limit=2)
    return [(item.role, item.content[0].text) for item in listed]  # type: ignore[union-attr]


def test_a_conversation_goes_on_from_its_id(client: openai.OpenAI) -> None:
    first = ask(client, "One?", instructions="Be short.")
    second = ask(client, "Two?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert second.instructions is None
    third = ask(client, "Three?", previous_response_id=second.id, store=False)
    assert first.usage is not None
    assert second.usage is not None
    assert third.usage is not None
    assert first.usage.input_tokens < second.usage.input_tokens < third.usage.input_tokens
    assert items(client, second.id) == [("user", "One?"), ("assistant", first.output_text), ("user", "Two?")]
    counted = client.responses.input_tokens.count(model="tiny", input="Three?", previous_response_id=second.id)
    assert counted.input_tokens == third.usage.input_tokens
    by_hand = ask(
        client,
        "",
        input=[
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": first.output_text},
            {"role": "user", "content": "Two?"},
        ],
    )
    assert by_hand.usage is not None
    assert by_hand.usage.input_tokens == second.usage.input_tokens


def test_a_stream_is_stored_before_its_last_event_is_read(client: openai.OpenAI) -> None:
    previous, items = None, 0
    for turn in range(10):
        with client.responses.stream(
            model="tiny", input=f"{turn}", max_output_tokens=2, previous_response_id=previous
        ) as stream:  # type: ignore[call-overload]
            for event in stream:
                if event.type == "response.incomplete":
                    previous = event.response.id
                    # Two tokens of random weights may be no text at all: then the answer has no item.
                    items += 1 + len(event.response.output)
                    unread = len(event.response.output)
                    break
        assert previous is not None
        assert client.responses.retrieve(previous).id == previous
    assert len(client.responses.input_items.list(previous, limit=100).data) == items - unread


def test_what_is_stored_can_be_looked_at_and_deleted(client: openai.OpenAI) -> None:
    made = ask(client, "Keep me", metadata={"a": "b"}, temperature=0)
    assert client.responses.retrieve(made.id).model_dump() == made.model_dump()
    client.responses.delete(made.id)
    for action in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError) as caught:
            action(made.id)
        assert caught.value.code == "response_not_found"
    with pytest.raises(openai.NotFoundError):
        client.responses.input_items.list(made.id)


def test_what_must_not_be_stored_is_not(client: openai.OpenAI) -> None:
    made = ask(client, "Forget me", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError) as caught:
        ask(client, "And?", previous_response_id=made.id)
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "/previous_response_id")


def test_a_refused_request_stores_nothing(gateway: Gateway, client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "", input=[{"role": "user", "content": 5}])
    assert caught.value.param == "/input/0/content"
    first = ask(client, "One?")
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "", input=[{"role": "robot", "content": "x"}], previous_response_id=first.id)
    assert caught.value.param == "/input/0/role"
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "x", extra_body={"x_orch_expanded": 1})
    assert caught.value.param == "/x_orch_expanded"


def test_tools_there_and_back(client: openai.OpenAI) -> None:
    asked = ask(
        client, "Weather?", tools=[WEATHER], tool_choice="required", parallel_tool_calls=False, max_output_tokens=500
    )
    call = asked.output[-1]
    assert call.type == "function_call"
    assert json.loads(call.arguments)["city"] in ("Rome", "Oslo")
    told = ask(
        client,
        "",
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "Rain."}],
        previous_response_id=asked.id,
        tools=[WEATHER],
        tool_choice="none",
    )
    kinds = [item.type for item in client.responses.input_items.list(told.id, order="asc")]
    assert kinds == ["message", "function_call", "function_call_output"]


def test_calls_are_streamed_with_their_events(client: openai.OpenAI) -> None:
    with client.responses.stream(
        model="tiny",
        input="Weather?",
        tools=[WEATHER],
        tool_choice={"type": "function", "name": "weather"},
        parallel_tool_calls=False,
        max_output_tokens=500,
    ) as stream:
        events = list(stream)
    kinds = [event.type for event in events]
    assert kinds[2] == "response.output_item.added"
    assert "response.function_call_arguments.delta" in kinds
    assert kinds[-3:] == [
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    deltas = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
    assert json.loads(deltas)["city"] in ("Rome", "Oslo")


def test_items_by_reference(client: openai.OpenAI) -> None:
    first = ask(client, "One?")
    said = first.output[0]
    found = ask(client, "", input=[{"role": "user", "content": "x"}, {"type": "item_reference", "id": said.id}])
    assert ("assistant", first.output_text) in items(client, found.id)
    with pytest.raises(openai.NotFoundError) as caught:
        ask(client, "", input=[{"type": "item_reference", "id": "msg_0"}])
    assert caught.value.param == "/input/0/id"


def test_a_background_response(client: openai.OpenAI) -> None:
    begun = ask(client, "Long?", background=True, **ENDLESS | {"max_output_tokens": 30})
    assert begun.background
    found = ended(client, begun.id)
    assert (found.id, found.status, found.background) == (begun.id, "incomplete", True)
    assert found.usage is not None
    assert found.usage.output_tokens == 30
    after = ask(client, "And?", previous_response_id=begun.id)
    assert items(client, after.id)[0] == ("user", "Long?")
    assert client.responses.cancel(begun.id).status == "incomplete"
    client.responses.delete(begun.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(begun.id)


def test_a_background_response_is_streamed_from_anywhere(client: openai.OpenAI) -> None:
    events: list[ResponseStreamEvent] = []
    with client.responses.create(
        model="tiny", input="Long?", background=True, stream=True, **ENDLESS | {"max_output_tokens": 40}
    ) as stream:
        for event in stream:
            events.append(event)
            if len(events) == 10:
                break
    assert events[0].type == "response.created"
    identity = events[0].response.id
    with client.responses.retrieve(identity, stream=True, starting_after=events[-1].sequence_number) as stream:
        events += list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.incomplete"
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert deltas == client.responses.retrieve(identity).output_text
    with client.responses.retrieve(identity, stream=True) as stream:
        assert [event.model_dump() for event in stream] == [event.model_dump() for event in events]
    plain = ask(client, "x")
    with pytest.raises(openai.BadRequestError):
        client.responses.retrieve(plain.id, stream=True)


def test_a_background_response_can_be_cancelled(client: openai.OpenAI) -> None:
    began = time.monotonic()
    runs = [ask(client, "Long?", background=True, **ENDLESS) for _ in range(4)]
    ends = [client.responses.cancel(run.id) for run in runs]
    assert [run.status for run in ends] == ["cancelled"] * 4
    quick = ask(client, "Quick?")
    assert quick.usage is not None
    assert time.monotonic() - began < 10
    assert client.responses.cancel(runs[0].id).status == "cancelled"
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "And?", previous_response_id=runs[0].id)
    assert caught.value.param == "/previous_response_id"
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(quick.id)


def test_a_background_response_that_runs_can_be_deleted(client: openai.OpenAI) -> None:
    run = ask(client, "Long?", background=True, **ENDLESS)
    client.responses.delete(run.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(run.id)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"max_output_tokens": 0}, openai.BadRequestError),
        ({"store": False}, openai.BadRequestError),
        ({"model": "nobody"}, openai.NotFoundError),
        ({"previous_response_id": "resp_0"}, openai.NotFoundError),
        ({"input": "word " * 5000}, openai.BadRequestError),
    ],
)
def test_a_background_response_that_cannot_be_is_refused_at_once(
    client: openai.OpenAI, more: dict[str, Any], error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as caught:
        ask(client, "Hi", background=True, **more)
    assert caught.value.code


@pytest.fixture
def connection(gateway: Gateway) -> Iterator[http.client.HTTPConnection]:
    opened = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=WAIT)
    yield opened
    opened.close()


def raw(gateway: Gateway, connection: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> Any:
    headers = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}
    connection.request(method, path, body if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/responses/resp_0", 404),
        ("GET", "/v1/responses/..%2f..%2fetc", 404),
        ("GET", "/v1/responses/a/b/c", 404),
        ("DELETE", "/v1/responses/%00", 404),
        ("POST", "/v1/responses/resp_0/cancel", 404),
        ("GET", "/v1/responses/resp_0/input_items?limit=0", 404),
        ("PUT", "/v1/responses/resp_0", 405),
        ("GET", "/v1/responses", 405),
    ],
)
def test_odd_paths(
    gateway: Gateway, connection: http.client.HTTPConnection, method: str, path: str, status: int
) -> None:
    found, body = raw(gateway, connection, method, path)
    assert found == status
    assert body["error"]["message"]


def test_odd_queries(gateway: Gateway, connection: http.client.HTTPConnection, client: openai.OpenAI) -> None:
    made = ask(client, "x")
    for query in ("input_items?limit=0", "input_items?order=up", "input_items?after=x", "input_items?limit=%ff"):
        status, body = raw(gateway, connection, "GET", f"/v1/responses/{made.id}/{query}")
        assert (status, bool(body["error"]["message"])) == (400, True)
    assert raw(gateway, connection, "GET", f"/v1/responses/{made.id}?stream=maybe")[0] == 400
    assert raw(gateway, connection, "GET", f"/v1/responses/{made.id}?stream=false&include=x")[0] == 200


def test_without_a_key_nothing_is_told(gateway: Gateway, connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/v1/responses/resp_0")
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["error"]["code"]) == (401, "invalid_api_key")
