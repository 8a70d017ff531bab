# SPDX-License-Identifier: GPL-3.0-or-later
"""The ollama package against a real worker."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jsonschema_rs
import ollama
import pytest
from ollama_bodies import OPEN_WEBUI
from worker_process import Worker

from llama_orch.wire.ollama_chat.schema import ANSWER, STREAM
from llama_orch.wire.ollama_generate.schema import ANSWER as GENERATED
from llama_orch.wire.ollama_generate.schema import STREAM as GENERATED_LINE

HELLO = [{"role": "user", "content": "Hello"}]
GREEDY = {"temperature": 0, "num_predict": 10}
SHAPE: dict[str, Any] = {
    "type": "object",
    "properties": {"size": {"enum": ["s", "m"]}, "ok": {"type": "boolean"}},
    "required": ["size", "ok"],
    "additionalProperties": False,
}


def test_a_chat(client: ollama.Client) -> None:
    found = client.chat("tiny", messages=HELLO, options={"temperature": 0, "num_predict": 5})
    assert (found.model, found.done, found.done_reason) == ("tiny", True, "length")
    assert found.message.role == "assistant"
    assert found.message.content
    assert found.eval_count == 5
    assert found.prompt_eval_count
    total, prompt, answer = found.total_duration, found.prompt_eval_duration, found.eval_duration
    assert total is not None
    assert prompt is not None
    assert answer is not None
    assert 0 < prompt <= total < 60e9
    assert abs(prompt + answer - total) < 10
    assert found.load_duration == 0


def test_a_stream_is_the_whole_answer(client: ollama.Client) -> None:
    whole = client.chat("tiny", messages=HELLO, options=GREEDY)
    parts = list(client.chat("tiny", messages=HELLO, options=GREEDY, stream=True))
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    last = parts[-1]
    assert (last.done_reason, last.eval_count) == (whole.done_reason, whole.eval_count)
    assert last.prompt_eval_count == whole.prompt_eval_count
    total, prompt, answer = last.total_duration, last.prompt_eval_duration, last.eval_duration
    assert total is not None
    assert prompt is not None
    assert answer is not None
    assert abs(prompt + answer - total) < 10


def test_a_generation_in_all_its_ways(client: ollama.Client) -> None:
    whole = client.generate("tiny", "Hello", options=GREEDY)
    chat = client.chat("tiny", messages=HELLO, options=GREEDY)
    assert (whole.response, whole.prompt_eval_count) == (chat.message.content, chat.prompt_eval_count)
    parts = list(client.generate("tiny", "Hello", options=GREEDY, stream=True))
    assert "".join(part.response or "" for part in parts) == whole.response
    system = client.generate("tiny", "Hello", system="Be kind.", options=GREEDY)
    assert (system.prompt_eval_count or 0) > (whole.prompt_eval_count or 0)
    bare = client.generate("tiny", "Hello", raw=True, options=GREEDY)
    assert (bare.prompt_eval_count or 0) < (whole.prompt_eval_count or 0)


def test_streaming_is_what_happens_unless_said_otherwise(worker: Worker) -> None:
    body = {"model": "tiny", "messages": HELLO, "options": GREEDY}
    answer = worker.call("POST", "/api/chat", body)
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert len(lines) > 2
    for line in lines:
        jsonschema_rs.validate(STREAM, line)
    jsonschema_rs.validate(ANSWER, worker.call("POST", "/api/chat", body | {"stream": False}).json)
    generate = {"model": "tiny", "prompt": "x", "options": GREEDY, "logprobs": True, "top_logprobs": 2}
    for line in worker.call("POST", "/api/generate", generate).body.splitlines():
        jsonschema_rs.validate(GENERATED_LINE, json.loads(line))
    found = worker.call("POST", "/api/generate", generate | {"stream": False}).json
    jsonschema_rs.validate(GENERATED, found)
    assert [len(entry["top_logprobs"]) for entry in found["logprobs"]] == [2] * found["eval_count"]


def test_asynchronous_streams_side_by_side(worker: Worker) -> None:
    async def one(client: ollama.AsyncClient, number: int) -> str:
        messages = [{"role": "user", "content": f"{number}"}]
        parts = await client.chat("tiny", messages=messages, options=GREEDY, stream=True)
        return "".join([part.message.content or "" async for part in parts])

    async def all_at_once() -> list[str]:
        async with ollama.AsyncClient(host=worker.url) as client:
            return await asyncio.gather(*(one(client, number % 3) for number in range(6)))

    found = asyncio.run(all_at_once())
    assert found[:3] == found[3:]


def test_structured_output(client: ollama.Client) -> None:
    for form, schema in ((SHAPE, SHAPE), ("json", {"type": "object"})):
        found = client.chat("tiny", messages=HELLO, format=form, options={"temperature": 0, "num_predict": 300})
        if found.done_reason == "stop":
            jsonschema_rs.validate(schema, json.loads(found.message.content or ""))
    found = client.generate("tiny", "Hello", format=SHAPE, options={"temperature": 0, "num_predict": 300})
    assert found.done_reason == "stop"
    jsonschema_rs.validate(SHAPE, json.loads(found.response or ""))


def look(city: str) -> str:
    """Look out of the window.

    Args:
        city: where
    """
    return city


def test_a_conversation_with_tools(client: ollama.Client) -> None:
    without = client.chat("tiny", messages=HELLO, options=GREEDY)
    found = client.chat("tiny", messages=HELLO, tools=[look], options=GREEDY)
    assert (found.prompt_eval_count or 0) > (without.prompt_eval_count or 0) + 20
    call = {"function": {"name": "look", "arguments": {"city": "Rome"}}}
    turns = [
        *HELLO,
        {"role": "assistant", "content": "", "thinking": "Look!", "tool_calls": [call]},
        {"role": "tool", "content": "sunny", "tool_name": "look"},
    ]
    found = client.chat("tiny", messages=turns, tools=[look], options=GREEDY)
    assert found.done
    assert (found.prompt_eval_count or 0) > 0


def test_thinking_is_asked_for_in_the_prompt(client: ollama.Client) -> None:
    def tokens(think: Any) -> int:
        return client.chat("tiny", messages=HELLO, think=think, options=GREEDY).prompt_eval_count or 0

    assert tokens(False) > tokens(True) > tokens(None), "the template opens a thought, and closes it for who wants none"


def test_thoughts_stand_apart(client: ollama.Client) -> None:
    whole = client.chat("tiny", messages=HELLO, think=True, options=GREEDY)
    assert whole.message.thinking
    assert not whole.message.content
    parts = list(client.chat("tiny", messages=HELLO, think=True, options=GREEDY, stream=True))
    assert "".join(part.message.thinking or "" for part in parts) == whole.message.thinking
    found = client.generate("tiny", "Hello", think="high", options=GREEDY)
    assert (found.thinking, found.response) == (whole.message.thinking, "")
    plain = client.chat("tiny", messages=HELLO, think=False, options=GREEDY)
    assert plain.message.content
    assert plain.message.thinking is None


def test_a_prefill_is_continued_and_not_repeated(client: ollama.Client) -> None:
    begun = [*HELLO, {"role": "assistant", "content": "Well then, "}]
    found = client.chat("tiny", messages=begun, options=GREEDY)
    assert not (found.message.content or "").startswith("Well then")


def test_stop_strings_and_seeds(client: ollama.Client) -> None:
    text = client.generate("tiny", "Hello", options=GREEDY).response or ""
    stop = text[len(text) // 2 :][:3]
    found = client.generate("tiny", "Hello", options=GREEDY | {"stop": [stop]})
    assert found.done_reason == "stop"
    assert stop not in (found.response or "")
    seeded = {"seed": 7, "temperature": 1.5, "num_predict": 8}
    one, two = (client.generate("tiny", "Hello", options=seeded).response for _ in range(2))
    assert one == two


def test_requests_to_load(client: ollama.Client) -> None:
    found = client.generate("tiny")
    assert (found.done, found.done_reason, found.response) == (True, "load", "")
    assert client.chat("tiny").done_reason == "load"
    (part,) = client.chat("tiny", stream=True, keep_alive="10m")
    assert (part.done, part.done_reason) == (True, "load")


def test_open_webui(worker: Worker) -> None:
    body = OPEN_WEBUI | {"model": "tiny", "format": None}
    options = OPEN_WEBUI["options"] | {"num_predict": 5}
    answer = worker.call("POST", "/api/chat", body | {"options": options})
    assert answer.status == 200, answer.body
    assert json.loads(answer.body.splitlines()[-1])["done"]


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": "other"}, 404, "/model"),
        ({"options": {"num_ctx": 4096}}, 400, "/options/num_ctx"),
        ({"options": {"mirostat": 1}}, 400, "/options/mirostat"),
        ({"format": {"not": {"type": "object"}}}, 400, "/format/not"),
        ({"messages": [{"role": "user", "content": "a", "images": ["iVBORw0KGgo="]}]}, 400, "/messages/0/images/0"),
        ({"messages": [{"role": "user", "content": "word " * 4000}]}, 400, "/messages"),
    ],
)
def test_errors(client: ollama.Client, worker: Worker, fields: dict[str, Any], status: int, param: str) -> None:
    body: dict[str, Any] = {"model": "tiny", "messages": HELLO} | fields
    for stream in (False, True):
        with pytest.raises(ollama.ResponseError) as caught:
            list(client.chat(**body, stream=stream))  # type: ignore[call-overload]
        assert caught.value.status_code == status
        assert caught.value.error
    found = worker.call("POST", "/api/chat", body).json
    assert (found["error"], found["param"]) == (caught.value.error, param)


def test_a_generation_that_does_not_fit_names_the_prompt(worker: Worker) -> None:
    found = worker.call("POST", "/api/generate", {"model": "tiny", "prompt": "word " * 4000}).json
    assert (found["code"], found["param"], found["limit"]) == ("context_length_exceeded", "/prompt", 2048)
