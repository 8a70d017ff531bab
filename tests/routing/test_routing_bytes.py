# SPDX-License-Identifier: GPL-3.0-or-later
"""What is changed of requests and streams at the level of bytes, and what stays as it was."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_orch.tap.routing import usage as usages
from llama_orch.tap.routing.asking import asked
from llama_orch.tap.routing.sieve import MOST_HELD, Sieve, TooLong
from llama_orch.tap.routing.splice import spliced, without

NAMES = st.sampled_from(["model", "stream", "stream_options", "max_tokens", "messages", 'a"b', "ü", "x\\", "{", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('"\\{}[]:,model ü\n', max_size=12) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=6)
FORMS: list[dict[str, Any]] = [{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}]


@settings(deadline=None)
@given(OBJECTS, OBJECTS, st.sampled_from(FORMS))
def test_members_are_set_and_everything_else_stays(document: Any, members: Any, form: Any) -> None:
    body = json.dumps(document, **form).encode()
    found = spliced(body, {name: json.dumps(value).encode() for name, value in members.items()})
    assert json.loads(found) == document | members


@settings(deadline=None)
@given(OBJECTS, NAMES, st.sampled_from(FORMS))
def test_a_member_is_taken_off(document: Any, name: str, form: Any) -> None:
    found = json.loads(without(json.dumps(document, **form).encode(), name))
    assert found == {key: value for key, value in document.items() if key != name}


def test_what_the_client_wrote_stays_byte_for_byte() -> None:
    body = (
        b'{ "messages" : [ {"role":"user","content":"the \\"model\\": \\u00e9 1.50e+2"} ],\n "model":"ours", "n":1.0 }'
    )
    found = asked(body, json.loads(body), model="theirs", limit=7)
    assert found == body.replace(b'"ours"', b'"theirs"').replace(b"1.0 }", b'1.0 , "max_tokens": 7}')
    assert asked(body, json.loads(body), model="ours") is body


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": None, "other": 1}])
def test_a_stream_is_always_asked_for_its_usage(options: Any) -> None:
    document: dict[str, Any] = {"model": "m", "stream": True, "messages": []}
    if options is not None:
        document["stream_options"] = options
    found = json.loads(asked(json.dumps(document).encode(), document, model="m"))
    assert found["stream_options"] == (options or {}) | {"include_usage": True}
    assert {**found, "stream_options": 0} == {**document, "stream_options": 0}


@pytest.mark.parametrize("given", ["max_tokens", "max_completion_tokens", None])
def test_the_limit_takes_the_place_of_the_clients(given: str | None) -> None:
    document: dict[str, Any] = {"model": "m", "messages": []} | ({given: 99} if given else {})
    found = json.loads(asked(json.dumps(document).encode(), document, model="m", limit=5))
    assert found == document | {given or "max_tokens": 5}


def test_a_name_with_an_escape_in_it_is_the_same_name() -> None:
    body = b'{"mod\\u0065l": "ours", "messages": []}'
    assert json.loads(asked(body, json.loads(body), model="theirs")) == {"model": "theirs", "messages": []}


# Streams

ROLE = {"role": "assistant", "content": ""}
USAGE = {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 4}}
AWKWARD = ['"usage":{"prompt_tokens":1}', "[DONE]", "data: [DONE]\n\n", '"error"', '"model":"there"', "\r\n\r\n", "ü€"]


def stream(
    texts: list[str], *, model: str = "there", nulls: bool, usage: str, compact: bool, done: bool = True, crlf: bool
) -> bytes:
    """A server's stream; `usage`: absent, last (a chunk of its own) or finish (beside the finish reason)."""
    separators = (",", ":") if compact else None
    end = b"\r\n\r\n" if crlf else b"\n\n"
    none = {"usage": None} if nulls else {}

    def frame(members: dict[str, Any]) -> bytes:
        return b"data: " + json.dumps({"id": "c", "model": model} | members, separators=separators).encode() + end

    frames = [frame({"choices": [{"index": 0, "delta": ROLE, "finish_reason": None}]} | none)]
    frames += [
        frame({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} | none) for text in texts
    ]
    told = {"usage": USAGE} if usage == "finish" else none
    frames.append(frame({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]} | told))
    if usage == "last":
        frames.append(frame({"choices": [], "usage": USAGE}))
    if done:
        frames.append(b"data: [DONE]" + end)
    return b"".join(frames)


def events(data: bytes) -> list[Any]:
    found = [part.removeprefix(b"data: ") for part in re.split(rb"\r?\n\r?\n", data) if part.startswith(b"data")]
    return [part.decode() if part == b"[DONE]" else json.loads(part) for part in found]


@settings(deadline=None, max_examples=200)
@given(
    texts=st.lists(st.sampled_from(AWKWARD) | st.text(max_size=8).filter(bool), max_size=5),
    cuts=st.lists(st.integers(0, 4000), max_size=8),
    nulls=st.booleans(),
    usage=st.sampled_from(["absent", "last", "finish"]),
    compact=st.booleans(),
    wanted=st.booleans(),
    crlf=st.booleans(),
)
def test_a_stream_passes_but_for_its_usage(
    texts: list[str], cuts: list[int], nulls: bool, usage: str, compact: bool, wanted: bool, crlf: bool
) -> None:
    whole = stream(texts, nulls=nulls, usage=usage, compact=compact, crlf=crlf)
    sieve = Sieve('our "model"', wanted=wanted)
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    parts = [sieve.push(whole[start:end]) for start, end in itertools.pairwise(places)]
    for part in parts:
        assert not part or part.endswith((b"\n\n", b"\r\n\r\n")), "only whole events go out"
    before_last = b"".join(parts)
    assert sieve.done
    assert b"data: [DONE]" not in [line.strip() for line in before_last.split(b"\n")], "kept back for the settlement"
    found = events(before_last + sieve.last())
    expected = events(stream(texts, model='our "model"', nulls=nulls, usage=usage, compact=compact, crlf=crlf))
    if not wanted:
        for each in expected:
            if each != "[DONE]":
                each.pop("usage", None)
        expected = [each for each in expected if each == "[DONE]" or each["choices"]]
    assert found == expected
    assert sieve.outcome == "stop"
    assert sieve.events == len(texts)
    assert (sieve.usage is None) == (usage == "absent")
    if sieve.usage is not None:
        receipt = usages.receipt_of(sieve.usage, "stop")
        assert (receipt.prompt_tokens, receipt.cached_tokens, receipt.output_tokens) == (11, 4, 2)


def test_a_token_that_came_alone_goes_out_as_the_very_same_bytes() -> None:
    sieve = Sieve("there", wanted=False)
    first, token = b'data: {"model":"there","choices":[{"delta":{"content":"a"}}]}\n\n', b'data: {"x": 1}\n\n'
    assert sieve.push(first) == first
    assert sieve.push(token) is token
    assert sieve.push(b": ping\n\n") == b": ping\n\n"
    assert sieve.events == 2


@pytest.mark.parametrize("usage", ["last", "finish"])
@pytest.mark.parametrize("compact", [True, False])
def test_the_cost_is_told_beside_the_usage(usage: str, compact: bool) -> None:
    sieve = Sieve("there", wanted=True, cost=lambda told: 42 + int(str(told["prompt_tokens"])))
    whole = stream(["a"], nulls=False, usage=usage, compact=compact, crlf=False)
    found = events(sieve.push(whole))
    assert next(each["usage"] for each in found if each.get("usage")) == USAGE | {"cost": 53}


def test_an_error_of_the_servers_own_is_seen() -> None:
    sieve = Sieve("m", wanted=False)
    error = b'data: {"error":{"message":"out of memory"}}\n\n'
    assert sieve.push(b'data: {"model":"m","choices":[]}\n\n' + error).endswith(error)
    assert sieve.failed


def test_an_event_without_an_end_is_not_held_for_ever() -> None:
    sieve = Sieve("m", wanted=False)
    for _ in range(MOST_HELD // 65536):
        assert sieve.push(b"x" * 65536) == b""
    with pytest.raises(TooLong):
        sieve.push(b"x")


@settings(deadline=None)
@given(OBJECTS)
def test_the_last_usage_is_found_wherever_it_stands(document: Any) -> None:
    for text in (json.dumps(document | {"usage": USAGE}), json.dumps({"usage": USAGE} | document)):
        data = text.encode()
        found = usages.told(data)
        assert found is not None
        usage, start, end = found
        assert usage == USAGE
        assert json.loads(data[start:end]) == USAGE
        assert json.loads(usages.with_cost(data, end, 7))["usage"]["cost"] == 7
    assert usages.told(json.dumps(document).encode()) is None
