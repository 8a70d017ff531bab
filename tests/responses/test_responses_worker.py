# SPDX-License-Identifier: GPL-3.0-or-later
"""A real worker, asked by the real openai package."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import openai
import pydantic
import pytest
from openai.types.responses import Response
from worker_process import Worker


class City(pydantic.BaseModel):
    name: Annotated[str, pydantic.Field(max_length=8)]
    size: Literal["small", "large"]
    old: bool


def test_an_answer(client: openai.OpenAI) -> None:
    found = client.responses.create(
        model="tiny", input="Hi", instructions="Be short.", max_output_tokens=5, temperature=0, metadata={"a": "b"}
    )
    Response.model_validate(found.model_dump(), strict=True)
    assert found.id.startswith("resp_")
    assert (found.status, found.model, found.instructions) == ("incomplete", "tiny", "Be short.")
    assert found.incomplete_details is not None
    assert found.incomplete_details.reason == "max_output_tokens"
    assert found.metadata == {"a": "b"}
    assert found.usage is not None
    assert (found.usage.output_tokens, found.temperature) == (5, 0)
    counted = client.responses.input_tokens.count(model="tiny", input="Hi", instructions="Be short.")
    assert (counted.object, counted.input_tokens) == ("response.input_tokens", found.usage.input_tokens)


def test_cached_tokens_are_told(client: openai.OpenAI) -> None:
    said = "The same long beginning of a question. " * 8
    first = client.responses.create(model="tiny", input=said, max_output_tokens=1)
    again = client.responses.create(model="tiny", input=said, max_output_tokens=1)
    assert first.usage is not None
    assert again.usage is not None
    assert again.usage.input_tokens == first.usage.input_tokens
    assert again.usage.input_tokens_details.cached_tokens > 0


def test_a_stream(client: openai.OpenAI) -> None:
    with client.responses.stream(model="tiny", input="Hi", max_output_tokens=6, temperature=0) as stream:
        events = list(stream)
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.incomplete",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    whole = client.responses.create(model="tiny", input="Hi", max_output_tokens=6, temperature=0)
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == whole.output_text


@pytest.mark.parametrize(("summary", "kind"), [(None, "reasoning_text"), ("auto", "reasoning_summary_text")])
def test_thoughts_come_and_go_back(client: openai.OpenAI, summary: Any, kind: str) -> None:
    asked: dict[str, Any] = {
        "model": "tiny",
        "input": "Why?",
        "reasoning": {"effort": "low", "summary": summary},
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 12,
        "temperature": 0,
    }
    with client.responses.stream(**asked) as stream:
        events = list(stream)
    thought = "".join(event.delta for event in events if event.type == f"response.{kind}.delta")
    assert thought
    last = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.usage is not None
    assert last.response.usage.output_tokens_details.reasoning_tokens > 0
    item = last.response.output[0]
    assert item.type == "reasoning"
    told = item.summary if summary else item.content
    assert told is not None
    assert [part.text for part in told] == [thought]

    def tokens(*reasoning: Any) -> int:
        said = [{"role": "user", "content": "Why?"}, *reasoning, {"role": "assistant", "content": "So."}]
        return client.responses.input_tokens.count(model="tiny", input=said).input_tokens  # type: ignore[arg-type]

    kept = {"type": "reasoning", "id": item.id, "summary": [], "encrypted_content": item.encrypted_content}
    assert tokens(kept) == tokens(item.model_dump(exclude={"encrypted_content"})) > tokens()


def test_structured_output(client: openai.OpenAI) -> None:
    for seed in range(3):
        answer = client.responses.parse(
            model="tiny",
            input="A city?",
            text_format=City,
            reasoning={"effort": "none"},
            max_output_tokens=1000,
            extra_body={"seed": seed},
        )
        assert answer.status == "completed"
        assert isinstance(answer.output_parsed, City)


def test_a_schema_that_is_not_served_is_refused_with_its_place(client: openai.OpenAI) -> None:
    form = {"type": "json_schema", "name": "n", "schema": {"type": "object", "unevaluatedProperties": False}}
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="tiny", input="Hi", text={"format": form})  # type: ignore[arg-type]
    assert (caught.value.param or "").startswith("/text/format/schema")


def test_log_probabilities(client: openai.OpenAI) -> None:
    found = client.responses.create(
        model="tiny",
        input="Hi",
        max_output_tokens=3,
        include=["message.output_text.logprobs"],
        top_logprobs=2,
    )
    part = found.output[0].content[0]  # type: ignore[union-attr]
    assert len(part.logprobs) == 3  # type: ignore[union-attr]
    assert len(part.logprobs[0].top_logprobs) == 2  # type: ignore[index,union-attr]


def test_a_context_that_is_too_small(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="tiny", input="word " * 5000)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "/input")
    body = caught.value.body
    assert isinstance(body, dict)
    assert body["limit"] == 2048
    assert body["asked"] > 5000


def test_what_a_worker_alone_does_not_know(client: openai.OpenAI) -> None:
    for more in ({"previous_response_id": "resp_1"}, {"background": True}):
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model="tiny", input="Hi", **more)  # type: ignore[arg-type]
        assert caught.value.code == "unsupported"
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_1")


def test_an_unknown_model(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="huge", input="Hi")
    assert caught.value.code == "model_not_found"


def test_a_raw_stream_is_well_formed(worker: Worker) -> None:
    reply = worker.call(
        "POST",
        "/v1/responses",
        {"input": "Hi", "stream": True, "max_output_tokens": 3},
        {"authorization": "Bearer canary-key-4711"},
    )
    assert reply.headers["content-type"].startswith("text/event-stream")
    blocks = [block for block in reply.body.decode().split("\n\n") if block and not block.startswith(":")]
    assert blocks[-1] == "data: [DONE]"
    for block in blocks[:-1]:
        name, data = block.split("\n")
        assert name.removeprefix("event: ") == json.loads(data.removeprefix("data: "))["type"]
