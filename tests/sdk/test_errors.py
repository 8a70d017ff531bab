# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong at a tap, as errors of the tree: classes, data, hints, retries; and where the key may not be seen."""

from __future__ import annotations

import logging
import socket
import traceback
from collections.abc import Callable
from typing import Any

import httpcore
import pytest
from sdk_canary import CANARY

from llama_orch_utils import (
    AnswerError,
    BadRequest,
    BudgetExceeded,
    Client,
    ConfigError,
    ContextTooLong,
    EngineFailed,
    InsufficientCredits,
    InvalidAnswer,
    ModelNotFound,
    NotAllowed,
    NotAuthorised,
    OrchError,
    RateLimited,
    RequestError,
    StreamBroken,
    TargetError,
    TargetTimeout,
    TargetUnreachable,
    Timeouts,
    UnsupportedByTarget,
)
from llama_orch_utils.testing import FakeTap
from llama_orch_utils.transport.blocking import is_lasting

CASES = [
    (400, {"code": "bad_request", "param": "messages[0].content"}, BadRequest, {"param": "/messages/0/content"}),
    (400, {"type": "invalid_request_error"}, BadRequest, {}),
    (422, {}, BadRequest, {}),
    (413, {}, BadRequest, {}),
    (
        400,
        {"code": "context_length_exceeded", "limit": 4096, "asked": 9000},
        ContextTooLong,
        {"limit": 4096, "asked": 9000},
    ),
    (
        400,
        {"type": "exceed_context_size_error", "n_ctx": 8, "n_prompt_tokens": 9},
        ContextTooLong,
        {"limit": 8, "asked": 9},
    ),
    (400, {"code": "unsupported", "capability": "tools"}, UnsupportedByTarget, {"capability": "tools"}),
    (400, {"code": "unsupported_parameter", "param": "logit_bias"}, UnsupportedByTarget, {"capability": "logit_bias"}),
    (401, {"code": "invalid_api_key"}, NotAuthorised, {}),
    (401, {}, NotAuthorised, {}),
    (
        402,
        {"code": "insufficient_credits", "balance": 5, "affordable_max_tokens": 7},
        InsufficientCredits,
        {"balance": 5, "affordable_max_tokens": 7},
    ),
    (402, {"code": 402, "metadata": {"limit_source": "key_limit"}}, BudgetExceeded, {"limit_source": "key_limit"}),
    (402, {"limit_source": "key_limit"}, BudgetExceeded, {"limit_source": "key_limit"}),
    (402, {"code": "budget_exceeded", "limit_source": "max_cost"}, BudgetExceeded, {"limit_source": "max_cost"}),
    (429, {"code": "insufficient_quota"}, InsufficientCredits, {}),
    (403, {}, NotAllowed, {}),
    (
        404,
        {"code": "model_not_found", "near_misses": ["qwen", "quen"]},
        ModelNotFound,
        {"near_misses": ("qwen", "quen")},
    ),
    (404, {}, RequestError, {}),
    (405, {}, RequestError, {}),
    (429, {"retry_after": 3}, RateLimited, {"retry_after": 3.0}),
    (500, {}, TargetError, {}),
    (502, {}, TargetError, {}),
    (503, {"code": "engine_failed", "last_words": "out of memory"}, EngineFailed, {"last_words": "out of memory"}),
    (
        504,
        {"code": "timeout", "phase": "first_token", "seconds": 5},
        TargetTimeout,
        {"phase": "first_token", "seconds": 5.0},
    ),
]


@pytest.mark.parametrize(("status", "fields", "kind", "data"), CASES)
def test_each_http_error_is_the_right_error_with_its_data(tap: FakeTap, client: Client, status, fields, kind, data):
    tap.error(status, "It went wrong.", **fields)
    with pytest.raises(OrchError) as caught:
        client.chat("hi")
    error = caught.value
    assert type(error) is kind
    assert (error.message, error.status, error.target, error.request_id) == ("It went wrong.", status, tap.url, "req-1")
    for name, value in data.items():
        assert getattr(error, name) == value
    assert len(tap.asked) == 1, "no 4xx and no 500 is tried again"


def test_the_hint_and_the_code_of_the_tap_are_handed_on(tap: FakeTap, client: Client):
    tap.error(403, "No.", code="not_allowed", hint="orch auth token")
    with pytest.raises(NotAllowed) as caught:
        client.chat("hi")
    assert (caught.value.code, caught.value.hint) == ("not_allowed", "orch auth token")
    assert b"No." in caught.value.body


def test_openais_words_about_the_context_are_read(tap: FakeTap, client: Client):
    tap.error(
        400,
        "This model's maximum context length is 8,192 tokens. However, you requested 9001 tokens.",
        code="context_length_exceeded",
    )
    with pytest.raises(ContextTooLong) as caught:
        client.chat("hi")
    assert (caught.value.limit, caught.value.asked) == (8192, 9001)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, b"<html>Bad gateway</html>", TargetError),
        (404, b"404 page not found", RequestError),
        (401, b"", NotAuthorised),
        (400, b"\xff\xfe", BadRequest),
        (418, b'{"detail": "teapot"}', RequestError),
        (400, b'{"error": "just words"}', BadRequest),
        (400, b'{"error": 5}', BadRequest),
        (200, b"<html>hello</html>", AnswerError),
        (200, b"", AnswerError),
        (200, b"[1]", AnswerError),
        (200, b"[" * 100_000, AnswerError),
        (200, b"{}", InvalidAnswer),
        (200, b'{"choices": [{}]}', InvalidAnswer),
        (200, b'{"choices": {}}', InvalidAnswer),
    ],
)
def test_bodies_that_are_no_envelope_or_no_answer(tap: FakeTap, client: Client, status: int, body: bytes, kind):
    tap.answer("", status=status, body=body, headers={"content-type": "text/html"})
    with pytest.raises(kind) as caught:
        client.chat("hi")
    assert str(caught.value)


def test_a_redirect_is_not_followed_with_the_key(tap: FakeTap, client: Client):
    with FakeTap() as other:
        tap.answer("", status=307, body=b"", headers={"location": f"{other.url}/chat/completions"})
        with pytest.raises(TargetError, match="redirect"):
            client.chat("hi")
        assert not other.asked


def test_503_is_tried_again_and_then_answered(tap: FakeTap, client: Client):
    tap.error(503, "busy", headers={"retry-after": "0"}).error(503, "busy", headers={"retry-after": "0"}).answer(
        "there"
    )
    assert client.chat("hi").text == "there"
    assert len(tap.asked) == 3


def test_retries_have_an_end(tap: FakeTap, client: Client):
    for _ in range(5):
        tap.error(503, "busy", headers={"retry-after": "0"})
    with pytest.raises(TargetError, match="busy"):
        client.chat("hi")
    assert len(tap.asked) == 3


@pytest.mark.parametrize("fields", [{"headers": {"retry-after": "3600"}}, {"code": "engine_failed"}])
def test_a_long_retry_after_and_a_failed_engine_are_told_at_once(tap: FakeTap, client: Client, fields):
    tap.error(503, "not soon", **fields)
    with pytest.raises(TargetError, match="not soon"):
        client.chat("hi")
    assert len(tap.asked) == 1


def test_retry_after_may_be_a_date(tap: FakeTap, client: Client):
    tap.error(429, "slowly", headers={"retry-after": "Fri, 01 Jan 2100 00:00:00 GMT"})
    with pytest.raises(RateLimited) as caught:
        client.chat("hi")
    assert (caught.value.retry_after or 0) > 1e8


@pytest.mark.parametrize("value", ["", "soon", "-1", "1e9", "nan"])
def test_an_odd_retry_after_is_none(tap: FakeTap, client: Client, value: str):
    tap.error(429, "slowly", headers={"retry-after": value})
    with pytest.raises(RateLimited) as caught:
        client.chat("hi")
    assert caught.value.retry_after is None


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_nobody_there(caplog: pytest.LogCaptureFixture):
    port = closed_port()
    with (
        Client(f"http://127.0.0.1:{port}", key=CANARY, model="m", retries=1) as client,
        pytest.raises(TargetUnreachable) as caught,
    ):
        client.chat("hi")
    assert caught.value.address == f"http://127.0.0.1:{port}"
    assert "refused" in str(caught.value)


def test_a_tap_that_comes_up_meanwhile_is_reached(tap: FakeTap, make_client: Callable[..., Client]):
    client = make_client(retries=2)
    tap.error(503, "starting", headers={"retry-after": "0"}).answer("up")
    assert "".join(piece.text for piece in client.stream("hi")) == "up"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 70 + ".example", "a..b"])
def test_an_unknown_host_is_unreachable_in_words(host: str):
    with Client(f"http://{host}", model="m", retries=0) as client, pytest.raises(TargetUnreachable, match=host):
        client.chat("hi")


def test_a_name_that_does_not_exist_is_not_tried_again_and_a_busy_resolver_is():
    unknown, busy = httpcore.ConnectError(), httpcore.ConnectError()
    unknown.__cause__ = socket.gaierror(socket.EAI_NONAME, "unknown")
    busy.__cause__ = socket.gaierror(socket.EAI_AGAIN, "busy")
    assert is_lasting(unknown)
    assert not is_lasting(busy)
    assert not is_lasting(httpcore.ConnectError("refused"))


@pytest.mark.parametrize(
    ("limits", "fields", "phase"),
    [
        (Timeouts(first_token=0.2), {"pause": 60}, "first_token"),
        (Timeouts(first_token=0.2), {"pause": 60, "comments": 0.05}, "first_token"),
        (Timeouts(first_token=0.2), {"delay": 60}, "first_token"),
        (Timeouts(between_tokens=0.2, first_token=5), {"pause": 1.0}, "between_tokens"),
        (Timeouts(total=0.3), {"pause": 0.05}, "total"),
    ],
)
def test_each_time_out_of_a_stream_is_named(tap: FakeTap, client: Client, limits: Timeouts, fields, phase: str):
    tap.answer(["a"] * 1000, **fields)
    with pytest.raises(TargetTimeout) as caught:
        for _ in client.stream("hi", timeout=limits):
            pass
    assert caught.value.phase == phase
    assert phase in str(caught.value)
    tap.wait_left()


def test_the_time_out_of_a_whole_answer(tap: FakeTap, client: Client):
    tap.answer("late", delay=60)
    with pytest.raises(TargetTimeout) as caught:
        client.chat("hi", timeout=0.2)
    assert (caught.value.phase, caught.value.seconds) == ("total", 0.2)
    tap.wait_left()


def test_the_time_out_of_a_connection():
    # A listener whose backlog is full lets nobody in and refuses nobody.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with (
            Client(address, model="m", timeouts=Timeouts(connect=0.3)) as client,
            pytest.raises(TargetTimeout) as caught,
        ):
            client.chat("hi")
        assert caught.value.phase == "connect"
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("number", range(4))
def test_a_stream_cut_after_any_piece_is_broken_and_keeps_its_text(tap: FakeTap, client: Client, number: int):
    tap.cut(*["one ", "two ", "three "][:number])
    stream = client.stream("hi")
    with pytest.raises(StreamBroken) as caught:
        for _ in stream:
            pass
    assert caught.value.partial == "".join(["one ", "two ", "three "][:number]) == stream.text
    assert len(tap.asked) == 1, "nothing is tried again once an answer has begun"
    with pytest.raises(AnswerError):
        _ = stream.answer


def test_a_stream_that_ends_in_order_before_its_finish_is_broken(tap: FakeTap, client: Client):
    tap.answer(["a", "b"], finish_reason=None)
    with pytest.raises(StreamBroken) as caught:
        list(client.stream("hi"))
    assert caught.value.partial == "ab"


def test_an_error_in_the_stream_is_that_error(tap: FakeTap, client: Client):
    tap.answer(["a"], late_error={"message": "gone", "code": "engine_failed", "hint": "orch doctor"})
    with pytest.raises(EngineFailed) as caught:
        list(client.stream("hi"))
    assert (caught.value.message, caught.value.hint) == ("gone", "orch doctor")


@pytest.mark.parametrize(
    "event",
    [
        b"data: {nonsense\n\n",
        b'data: {"choices": [{}]}\n\n',
        b"data: \xff\n\n",
        b"data: []\n\n",
        b'data: {"choices":[{"delta":{"content":5}}]}\n\n',
    ],
)
def test_events_that_are_none_break_the_stream_in_words(tap: FakeTap, client: Client, event: bytes):
    tap.answer("", body=b": hi\n\n" + event)
    with pytest.raises(StreamBroken):
        list(client.stream("hi"))


def test_a_cut_whole_answer_is_unreachable_and_not_tried_again(tap: FakeTap, client: Client):
    tap.cut("x")
    with pytest.raises(TargetUnreachable, match="broke off"):
        client.chat("hi")
    assert len(tap.asked) == 1


def test_a_wrong_key_and_a_missing_one():
    with FakeTap(key="right") as tap:
        with Client(tap.url, key=CANARY, model="m") as client, pytest.raises(NotAuthorised) as wrong:
            client.chat("hi")
        with Client(tap.url, model="m") as client, pytest.raises(NotAuthorised, match="no key was found") as missing:
            client.chat("hi")
    assert "orch auth login" in (wrong.value.hint or "")
    assert "orch auth login" in (missing.value.hint or "")


def test_the_key_appears_nowhere(tap: FakeTap, client: Client, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    tap.error(401, f"Incorrect API key provided: {CANARY}", code="invalid_api_key", param=CANARY)
    tap.answer("", status=400, body=f"you sent {CANARY}".encode())
    seen: list[str] = [repr(client), str(client), repr(vars(client))]
    for _ in range(2):
        try:
            client.chat("hi")
        except RequestError as error:
            seen += [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
    tap.cut("a")
    stream = client.stream("hi")
    with pytest.raises(StreamBroken) as broken:
        list(stream)
    seen += [repr(stream), repr(vars(broken.value)), caplog.text, *map(repr, caplog.records)]
    seen.append(repr(client.chat("hi")))
    assert tap.asked[0].key == CANARY
    assert not [text for text in seen if CANARY in text]


def test_the_hint_for_a_key_and_for_a_full_queue_is_what_to_do_here(tap: FakeTap, client: Client):
    tap.error(401, "the key is wrong", code="invalid_api_key", hint="send Authorization: Bearer KEY")
    with pytest.raises(NotAuthorised) as wrong:
        client.chat("hi")
    assert wrong.value.hint == f"orch auth login {tap.url}"
    tap.error(429, "the queue is full", code="rate_limited", hint="try again after Retry-After seconds", retry_after=7)
    with Client(tap.url, key="k", model="m", retries=0) as patient, pytest.raises(RateLimited) as full:
        patient.chat("hi")
    assert full.value.hint == "try again in 7 s"


@pytest.mark.parametrize("prompt", [None, 3, b"bytes", {"role": "user", "content": "x"}])
def test_a_prompt_that_is_none(tap: FakeTap, client: Client, prompt: Any):
    with pytest.raises(BadRequest, match="not a text or a list of messages"):
        client.chat(prompt)
    assert tap.asked == []


def test_an_address_of_another_scheme_is_no_name_to_add():
    with pytest.raises(ConfigError) as caught:
        Client("ftp://tap.example")
    assert caught.value.hint == "orch target add NAME https://…"
