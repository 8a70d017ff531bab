# SPDX-License-Identifier: GPL-3.0-or-later
"""Text completions: bodies in, answers and frames out."""

from __future__ import annotations

import json
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch.engine.records import TokenLogprob
from llama_orch.wire.completions import DIALECT
from llama_orch.wire.completions.request import parse
from llama_orch.wire.completions.schema import ANSWER, REQUEST, STREAM
from llama_orch.wire.completions.stream import TextStream
from llama_orch.wire.generation import Choice, Generation, Head, Infill, Text, Tokens, Whole
from llama_orch_utils.errors import BadRequest, EngineFailed, UnsupportedByTarget
from llama_orch_utils.types import Usage

HEAD = Head("cmpl-1", "m", 1700000000)
USAGE = Usage(input_tokens=5, output_tokens=2, cached_tokens=3)
ASKED = Generation((Text("a"),))


def ask(**fields: Any) -> Generation:
    body = {"prompt": "a"} | fields
    jsonschema.validate(body, REQUEST)
    return parse(json.dumps(body).encode())


def test_the_least_that_can_be_asked() -> None:
    assert ask() == Generation(prompts=(Text("a"),), max_tokens=16, prompt_at="/prompt")


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("", (Text(""),)),
        (["a", "b"], (Text("a"), Text("b"))),
        ([1, 2], (Tokens((1, 2)),)),
        ([1.0], (Tokens((1,)),)),
        ([[1], [2, 3]], (Tokens((1,)), Tokens((2, 3)))),
        (["a", [1]], (Text("a"), Tokens((1,)))),
    ],
)
def test_prompts(prompt: Any, expected: Any) -> None:
    assert ask(prompt=prompt).prompts == expected


def test_every_parameter_arrives() -> None:
    generation = ask(
        model="m",
        suffix="b",
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=7,
        stop="x",
        n=2,
        best_of=2,
        echo=True,
        user="u",
        seed=3,
        temperature=0.5,
        logit_bias={"5": 1},
        response_format={"type": "json_object"},
    )
    assert generation.prompts == (Infill("a", "b"),)
    assert (generation.model, generation.stream, generation.include_usage) == ("m", True, True)
    assert (generation.max_tokens, generation.stop, generation.n, generation.echo) == (7, ("x",), 2, True)
    assert (generation.sampling.seed, generation.sampling.temperature) == (3, 0.5)
    assert ask(logprobs=5).sampling.logprobs == 5
    assert ask(logprobs=0).sampling.logprobs == 0


UNSUPPORTED: list[tuple[dict[str, Any], str]] = [
    ({"best_of": 2}, "/best_of"),
    ({"echo": True, "logprobs": 1}, "/logprobs"),
    ({"prompt": ["a", "b"], "suffix": "c"}, "/suffix"),
    ({"prompt": [1], "suffix": "c"}, "/suffix"),
    ({"messages": []}, "/messages"),
    ({"tools": []}, "/tools"),
]
NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"prompt": None}, "/prompt"),
    ({"prompt": 7}, "/prompt"),
    ({"prompt": []}, "/prompt"),
    ({"prompt": [[]]}, "/prompt/0"),
    ({"prompt": [1, "a"]}, "/prompt/1"),
    ({"prompt": ["a", 1]}, "/prompt/1"),
    ({"prompt": [-1]}, "/prompt/0"),
    ({"prompt": [True]}, "/prompt/0"),
    ({"prompt": [2**31]}, "/prompt/0"),
    ({"prompt": [[1], [1.5]]}, "/prompt/1/0"),
    ({"prompt": ["a"] * 129}, "/prompt"),
    ({"prompt": ["a"] * 65, "n": 2}, "/n"),
    ({"n": 129}, "/n"),
    ({"n": 3, "best_of": 2}, "/best_of"),
    ({"max_tokens": 0}, "/max_tokens"),
    ({"logprobs": 21}, "/logprobs"),
    ({"logprobs": True}, "/logprobs"),
    ({"stream_options": {}}, "/stream_options"),
]


@pytest.mark.parametrize(("fields", "pointer"), [*UNSUPPORTED, *NONSENSE])
def test_what_is_refused_by_name(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(json.dumps({"prompt": "a"} | fields).encode())
    assert caught.value.param == pointer
    assert isinstance(caught.value, UnsupportedByTarget) == ((fields, pointer) in UNSUPPORTED)


def events(frames: bytes) -> list[Any]:
    found = [frame.removeprefix("data: ") for frame in frames.decode().split("\n\n")[:-1]]
    return [frame if frame == "[DONE]" else json.loads(frame) for frame in found]


def test_a_stream_from_start_to_end() -> None:
    stream = DIALECT.stream(HEAD, Generation((Text("a"), Text("b")), n=2, include_usage=True))
    token = TokenLogprob(1, b"\xe2\x82", -0.5, (TokenLogprob(2, b"x", -0.25),))
    frames = stream.start(USAGE) + stream.text(3, "äb", ()) + stream.text(3, "€", (token, TokenLogprob(3, b"\xac", -1)))
    frames += stream.finish(3, "stop", None) + stream.end(USAGE)
    found = events(frames)
    for event in found[:-1]:
        jsonschema.validate(event, STREAM)
    text, scored, last, usage, done = found
    assert text["choices"] == [{"index": 3, "text": "äb", "logprobs": None, "finish_reason": None}]
    assert scored["choices"][0]["logprobs"] == {
        "tokens": ["bytes:\\xe2\\x82", "bytes:\\xac"],
        "token_logprobs": [-0.5, -1],
        "top_logprobs": [{"x": -0.25, "bytes:\\xe2\\x82": -0.5}, {"bytes:\\xac": -1}],
        "text_offset": [2, 2],
    }
    assert last["choices"][0]["finish_reason"] == "stop"
    assert usage["usage"]["prompt_tokens"] == 5
    assert done == "[DONE]"


def test_what_a_completion_has_not_is_nothing() -> None:
    stream = DIALECT.stream(HEAD, ASKED)
    assert stream.reasoning(0, "x") + stream.call(0, 0, "i", "n") + stream.arguments(0, 0, "{}") == b""
    assert b"[DONE]" not in stream.fail(EngineFailed("x"))


def test_a_whole_answer() -> None:
    rated = Choice("b", "length", logprobs=(TokenLogprob(1, b"b", float("-inf")),))
    found = json.loads(DIALECT.answer(HEAD, Whole((Choice("a", "stop"), rated), USAGE), ASKED))
    jsonschema.validate(found, ANSWER)
    assert [choice["text"] for choice in found["choices"]] == ["a", "b"]
    assert found["choices"][1]["logprobs"]["token_logprobs"] == [-9999.0]


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_any_text_survives_the_fast_path(text: str) -> None:
    (chunk,) = events(TextStream(HEAD, ASKED).text(0, text))
    assert chunk["choices"][0]["text"] == text


def test_a_frame_costs_at_most_three_microseconds() -> None:
    stream = TextStream(HEAD, ASKED)
    assert min(_seconds(stream) for _ in range(20)) / 1000 < 3e-6


def _seconds(stream: TextStream) -> float:
    began = time.process_time()
    for _ in range(1000):
        stream.text(0, " token", ())
    return time.process_time() - began
