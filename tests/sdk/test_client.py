# SPDX-License-Identifier: GPL-3.0-or-later
"""`Client` against a fake tap: answers, streams, what is sent, what is freed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sdk_canary import CANARY

from llama_orch_utils import Answer, AnswerError, BadRequest, Client, Usage
from llama_orch_utils.testing import FakeTap

PIECES = ("Héllo ", "wörld", " 😀", "!")


def test_a_whole_answer(tap: FakeTap, client: Client):
    tap.answer(
        "Blue light scatters.",
        usage={"prompt_tokens": 7, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5}},
    )
    answer = client.chat("Why is the sky blue?")
    assert (answer.text, answer.model, answer.finish_reason) == ("Blue light scatters.", "fake-model", "stop")
    assert answer.usage == Usage(7, 4, 5)
    assert answer.request_id == "req-1"
    assert answer.target == tap.url
    assert answer.raw["choices"][0]["message"]["content"] == "Blue light scatters."
    asked = tap.asked[0]
    assert asked.path == "/v1/chat/completions"
    assert asked.key == CANARY
    assert asked.json == {"model": "fake-model", "messages": [{"role": "user", "content": "Why is the sky blue?"}]}


def test_to_dict_is_json_and_the_repr_is_short(tap: FakeTap, client: Client):
    tap.answer("x" * 5000)
    answer = client.chat("hi")
    assert json.loads(json.dumps(answer.to_dict()))["text"] == "x" * 5000
    assert len(repr(answer)) < 250


def test_every_option_is_sent_under_openais_name(tap: FakeTap, client: Client):
    client.chat(
        [{"role": "user", "content": "hi"}],
        model="other",
        system="Be brief.",
        temperature=0.0,
        top_p=0.9,
        max_tokens=5,
        stop=["a"],
        seed=0,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        logit_bias={5: -100},
        logprobs=True,
        top_logprobs=3,
        response_format={"type": "json_object"},
        extra={"top_k": 1, "cache_prompt": False},
    )
    assert tap.asked[0].json == {
        "model": "other",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "temperature": 0.0,
        "top_p": 0.9,
        "max_tokens": 5,
        "stop": ["a"],
        "seed": 0,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "logit_bias": {"5": -100},
        "logprobs": True,
        "top_logprobs": 3,
        "response_format": {"type": "json_object"},
        "top_k": 1,
        "cache_prompt": False,
    }


def test_an_unknown_option_names_extra_and_nothing_is_sent(tap: FakeTap, client: Client):
    with pytest.raises(TypeError, match="extra="):
        client.chat("hi", top_k=1)  # type: ignore[call-arg]
    assert not tap.asked


@pytest.mark.parametrize(
    ("prompt", "options", "words"),
    [
        ("", {}, "empty"),
        ("  \n", {}, "empty"),
        ([], {}, "no messages"),
        ([{"content": "x"}], {}, "message 0"),
        (["x"], {}, "message 0"),
        ("half \ud83d", {}, "surrogate"),
        ("hi", {"temperature": float("nan")}, "JSON"),
        ("hi", {"extra": {"x": object()}}, "JSON"),
        ("hi", {"extra": {"stream": True}}, "stream"),
        ("hi", {"temperature": 1.0, "extra": {"temperature": 2}}, "temperature"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_it_is_sent(tap: FakeTap, client: Client, prompt, options, words: str):
    with pytest.raises(BadRequest, match=words) as caught:
        client.chat(prompt, **options)
    assert caught.value.hint
    assert not tap.asked


def test_a_stream_in_pieces_and_the_whole_at_its_end(tap: FakeTap, client: Client):
    tap.answer(PIECES, reasoning=("hmm", " so"), pause=0.005)
    with client.stream("hi", temperature=0.7) as stream:
        pieces = list(stream)
    assert [piece.text for piece in pieces if piece.text] == list(PIECES)
    assert [piece.reasoning for piece in pieces if piece.reasoning] == ["hmm", " so"]
    answer = stream.answer
    assert (answer.text, answer.reasoning, answer.finish_reason) == ("".join(PIECES), "hmm so", "stop")
    assert answer.usage == Usage(1, 6, 0)
    assert tap.asked[0].json["stream_options"] == {"include_usage": True}
    assert answer.raw["object"] == "chat.completion"
    assert answer.raw["choices"][0]["message"]["content"] == answer.text


def test_a_stream_gives_the_same_record_as_chat(tap: FakeTap, client: Client):
    tap.answer(PIECES).answer(PIECES)
    whole = client.chat("hi")
    stream = client.stream("hi")
    for _ in stream:
        pass
    assert {**stream.answer.to_dict(), "request_id": None} == {**whole.to_dict(), "request_id": None}


def test_plain_iteration_without_with(tap: FakeTap, client: Client):
    tap.answer(PIECES)
    assert "".join(piece.text for piece in client.stream("hi")) == "".join(PIECES)


def test_the_answer_of_a_half_read_stream_is_an_error_not_a_guess(tap: FakeTap, client: Client):
    tap.answer(PIECES)
    with client.stream("hi") as stream:
        next(iter(stream))
        with pytest.raises(AnswerError, match="not ended"):
            _ = stream.answer
        assert stream.text.startswith(PIECES[0])


def test_leaving_the_with_frees_the_target(tap: FakeTap, client: Client):
    tap.answer(["a"] * 1000, pause=0.05)
    with client.stream("hi") as stream:
        next(iter(stream))
    tap.wait_left()
    assert list(stream) == []


def test_breaking_out_of_plain_iteration_frees_the_target(tap: FakeTap, client: Client):
    tap.answer(["a"] * 1000, pause=0.05)
    for _ in client.stream("hi"):
        break
    tap.wait_left()


def test_an_error_in_the_body_of_the_with_frees_the_target(tap: FakeTap, client: Client):
    tap.answer(["a"] * 1000, pause=0.05)
    with pytest.raises(ZeroDivisionError), client.stream("hi") as stream:
        _ = [1 / 0 for _ in stream]
    tap.wait_left()


def test_closing_from_another_thread_ends_the_iteration(tap: FakeTap, client: Client):
    tap.answer(["a", *["b"] * 1000], pause=0.05)
    stream = client.stream("hi")
    first = threading.Event()

    def close() -> None:
        assert first.wait(10)
        stream.close()

    closer = threading.Thread(target=close)
    closer.start()
    pieces = []
    for piece in stream:
        pieces.append(piece)
        first.set()
    closer.join()
    assert 1 <= len(pieces) < 1000
    tap.wait_left()


def test_closing_while_the_target_is_silent_wakes_the_reader(tap: FakeTap, client: Client):
    tap.answer("never", pause=60)
    stream = client.stream("hi")
    stream.__enter__()
    reading = threading.Thread(target=lambda: list(stream))
    reading.start()
    tap.wait_asked()
    stream.close()
    reading.join(5)
    assert not reading.is_alive()
    tap.wait_left()


def test_a_stream_that_was_never_begun_asks_nothing(tap: FakeTap, client: Client):
    client.stream("hi").close()
    assert not tap.asked


def test_surrogate_halves_in_two_events_become_one_code_point(tap: FakeTap, client: Client):
    def chunk(content: str) -> bytes:
        return (
            b'data: {"choices":[{"index":0,"delta":{"content":"' + content.encode() + b'"},"finish_reason":null}]}\n\n'
        )

    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    body = chunk("a\\ud83d") + chunk("\\ude00b") + chunk("\\ud83d") + chunk("plain") + chunk("\\ud83d") + end
    tap.answer("", body=body, headers={"content-type": "text/event-stream"})
    stream = client.stream("hi")
    texts = [piece.text for piece in stream]
    assert "".join(texts) == "a😀b\ufffdplain"
    for text in texts:
        text.encode()
    assert stream.answer.text == "a😀b\ufffdplain\ufffd"


def test_logprobs_of_a_stream_are_in_the_raw_answer(tap: FakeTap, client: Client):
    event = {
        "choices": [
            {
                "index": 0,
                "delta": {"content": "x"},
                "logprobs": {"content": [{"token": "x", "logprob": -1}]},
                "finish_reason": None,
            }
        ]
    }
    last = {
        "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
    body = (
        b"".join(b"data: " + json.dumps(item).encode() + b"\r\n\r\n" for item in (event, event, last))
        + b"data: [DONE]\r\n\r\n"
    )
    tap.answer("", body=body)
    stream = client.stream("hi", logprobs=True)
    assert [piece.text for piece in stream] == ["x", "x"]
    assert len(stream.answer.raw["choices"][0]["logprobs"]["content"]) == 2
    assert stream.answer.finish_reason == "length"
    assert stream.answer.usage == Usage(1, 1)


def test_models_and_tokens(tap: FakeTap, client: Client):
    assert [model.id for model in client.models()] == ["fake-model"]
    assert client.count_tokens("one two three") == 3
    assert client.count_tokens("one", system="two three") == 3


def test_without_a_model_the_only_one_is_asked(tap: FakeTap):
    with Client(tap.url) as client:
        assert client.chat("hi").model == "fake-model"


def test_without_a_model_and_with_several_the_error_names_them():
    with FakeTap(models=("a", "b")) as tap, Client(tap.url) as client, pytest.raises(BadRequest, match="a, b"):
        client.chat("hi")


def test_one_connection_serves_many_calls_and_threads_share_the_client(tap: FakeTap, client: Client):
    for _ in range(3):
        client.chat("hi")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: client.chat(f"hi {number}").text, range(64)))
        streams = list(threads.map(lambda number: "".join(p.text for p in client.stream(f"hi {number}")), range(64)))
    assert set(answers) == set(streams) == {"Hello from the fake tap."}
    assert len(tap.asked) == 131


def test_a_closed_client_says_so(tap: FakeTap, make_client: Callable[..., Client]):
    client = make_client()
    client.chat("hi")
    client.close()
    with pytest.raises(AnswerError, match="closed"):
        client.chat("hi")


def test_a_connection_that_the_tap_closed_while_idle_is_replaced(client: Client, tap: FakeTap):
    client.chat("hi")
    tap._server.drop_connections()
    assert isinstance(client.chat("hi"), Answer)
