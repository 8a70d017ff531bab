# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers, streams and errors as bytes."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch.engine.records import TokenLogprob
from llama_orch.wire import envelope, routes
from llama_orch.wire.chat_completions import DIALECT
from llama_orch.wire.chat_completions.stream import ChunkStream
from llama_orch.wire.generation import Chat, Choice, Generation, Head, Whole
from llama_orch.wire.models import ModelEntry, listing, one
from llama_orch_utils.errors import (
    BadRequest,
    ContextTooLong,
    EngineFailed,
    InsufficientCredits,
    ModelNotFound,
    NotAuthorised,
    OrchError,
    RateLimited,
    UnsupportedByTarget,
)
from llama_orch_utils.types import Usage

HEAD = Head("chatcmpl-1", 'a "model"', 1700000000)
USAGE = Usage(input_tokens=5, output_tokens=2, cached_tokens=3)


def events(frames: bytes) -> list[Any]:
    found: list[Any] = []
    for frame in frames.decode().split("\n\n")[:-1]:
        assert frame.startswith("data: ")
        assert "\n" not in frame
        found.append(frame[6:] if frame == "data: [DONE]" else json.loads(frame[6:]))
    return found


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_any_text_survives_the_fast_path(text: str) -> None:
    frame = ChunkStream(HEAD, Generation((Chat(()),))).text(0, text)
    (chunk,) = events(frame)
    assert chunk["choices"] == [{"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}]
    assert (chunk["id"], chunk["model"], chunk["object"]) == (HEAD.id, HEAD.model, "chat.completion.chunk")


def test_a_stream_from_start_to_end() -> None:
    stream = DIALECT.stream(HEAD, Generation((Chat(()),), include_usage=True))
    frames = stream.start(USAGE) + stream.text(0, "x", ()) + stream.finish(0, "length", None) + stream.end(USAGE)
    first, text, last, usage, done = events(frames)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert text["usage"] is None
    assert last["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "length"}
    assert usage["choices"] == []
    assert usage["usage"] == {
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    assert done == "[DONE]"
    assert "usage" not in events(ChunkStream(HEAD, Generation((Chat(()),))).finish(0, "stop", None))[0]


def test_a_failed_stream_ends_with_the_error_and_nothing_else() -> None:
    (event,) = events(ChunkStream(HEAD, Generation((Chat(()),))).fail(EngineFailed("it\n\ndied", last_words="secret")))
    assert event["error"]["message"] == "it\n\ndied"
    assert "secret" not in json.dumps(event)


def test_log_probabilities() -> None:
    rival = TokenLogprob(2, b"\xe2\x82", float("-inf"))
    token = TokenLogprob(1, "€".encode(), -0.5, (rival,))
    (chunk,) = events(ChunkStream(HEAD, Generation((Chat(()),))).text(0, "€", (token,)))
    (entry,) = chunk["choices"][0]["logprobs"]["content"]
    assert (entry["token"], entry["bytes"], entry["logprob"]) == ("€", [226, 130, 172], -0.5)
    assert entry["top_logprobs"] == [{"token": "�", "logprob": -9999.0, "bytes": [226, 130]}]


def test_a_whole_answer() -> None:
    found = json.loads(DIALECT.answer(HEAD, Whole((Choice("ä\n", "stop"),), USAGE), Generation((Chat(()),))))
    assert found["choices"][0]["message"] == {"role": "assistant", "content": "ä\n", "refusal": None}
    assert found["choices"][0]["finish_reason"] == "stop"
    assert found["choices"][0]["logprobs"] is None
    assert found["usage"]["total_tokens"] == 7
    assert json.loads(DIALECT.count(9)) == {"input_tokens": 9}


@pytest.mark.parametrize(
    ("error", "kind", "data"),
    [
        (BadRequest("m", param="/a"), "invalid_request_error", {"param": "/a", "code": "bad_request"}),
        (ContextTooLong("m", limit=5, asked=9), "invalid_request_error", {"limit": 5, "asked": 9}),
        (UnsupportedByTarget("m", capability="tools"), "invalid_request_error", {"capability": "tools"}),
        (NotAuthorised("m", hint="h"), "authentication_error", {"hint": "h", "code": "invalid_api_key"}),
        (ModelNotFound("m", near_misses=("a",)), "not_found_error", {"near_misses": ["a"]}),
        (RateLimited("m", retry_after=2.1), "rate_limit_error", {"retry_after": 2.1}),
        (InsufficientCredits("m", balance=0, affordable_max_tokens=0), "insufficient_quota", {"balance": 0}),
        (EngineFailed("m", last_words="w"), "server_error", {"param": None, "code": "engine_failed"}),
        (OrchError("m"), "server_error", {"code": "error"}),
    ],
)
def test_the_envelope(error: OrchError, kind: str, data: dict[str, Any]) -> None:
    found = json.loads(envelope.render(error))["error"]
    assert found["type"] == kind
    assert found.items() >= data.items()
    assert "last_words" not in found


def test_headers_of_errors() -> None:
    assert envelope.headers(RateLimited("m", retry_after=2.1)) == [(b"retry-after", b"3")]
    assert envelope.headers(NotAuthorised("m")) == [(b"www-authenticate", b"Bearer")]
    assert envelope.headers(BadRequest("m")) == []


def test_routes_are_data_that_loads() -> None:
    assert [route.method for route in routes.matching("/v1/chat/completions")] == ["POST"]
    assert routes.matching("/v1/models/a/b:c")[0].job == "model"
    assert routes.matching("/v1/models/") == ()
    assert routes.matching("/") == ()
    for route in routes.ROUTES:
        if route.dialect:
            dialect = routes.load(route.dialect)
            assert callable(dialect.parse)
            assert callable(dialect.failure)


def test_models() -> None:
    entry = ModelEntry("m", 1, context=10, context_train=20, parameters=30, size=40)
    assert json.loads(one(entry))["context_length"] == 10
    assert json.loads(listing([entry]))["data"][0]["meta"] == {"n_ctx_train": 20, "n_params": 30, "size": 40}


def test_a_frame_costs_at_most_three_microseconds() -> None:
    stream = ChunkStream(HEAD, Generation((Chat(()),), include_usage=True))
    best = min(_seconds(stream) for _ in range(20))
    assert best / 1000 < 3e-6


def _seconds(stream: ChunkStream) -> float:
    began = time.process_time()
    for _ in range(1000):
        stream.text(0, " token", ())
    return time.process_time() - began
