# SPDX-License-Identifier: GPL-3.0-or-later
"""Text completions as the openai package asks for them; and gaps, where the model can fill them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from worker_openai import client_of
from worker_process import Worker

import make_gguf
from llama_orch.pool.fleet.facts import read

PATH = "/v1/completions"
GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 8}


@pytest.fixture
def client(worker: Worker) -> Iterator[openai.OpenAI]:
    with client_of(worker) as opened:
        yield opened


def test_a_text_goes_on(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="tiny", prompt="Once upon", **GREEDY)
    assert (answer.object, answer.choices[0].finish_reason) == ("text_completion", "length")
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 8
    streamed = list(client.completions.create(model="tiny", prompt="Once upon", stream=True, **GREEDY))
    assert "".join(chunk.choices[0].text for chunk in streamed) == answer.choices[0].text
    assert streamed[-1].choices[0].finish_reason == "length"


def test_without_a_limit_there_are_sixteen_tokens(worker: Worker) -> None:
    body = {"prompt": "a", "logit_bias": {"509": -100, "511": -100}}
    assert worker.call("POST", PATH, body).json["usage"]["completion_tokens"] == 16


def test_many_prompts_and_answers(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="tiny", prompt=["a", "b"], n=2, echo=True, seed=1, max_tokens=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert [choice.text[0] for choice in answer.choices] == ["a", "a", "b", "b"]
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 2
    with_tokens = client.completions.create(model="tiny", prompt=[[97], [98]], n=2, echo=True, seed=1, max_tokens=3)
    assert [choice.text[0] for choice in with_tokens.choices] == ["a", "a", "b", "b"]
    one = client.completions.create(model="tiny", prompt=[97], max_tokens=1)
    assert len(one.choices) == 1


def test_an_echo_comes_first_in_a_stream_too(client: openai.OpenAI) -> None:
    stream = client.completions.create(model="tiny", prompt=["one", "two"], echo=True, stream=True, **GREEDY)
    texts = ["", ""]
    for chunk in stream:
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts[0].startswith("one")
    assert texts[1].startswith("two")


def test_log_probabilities_in_the_legacy_form(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="tiny", prompt="a", logprobs=3, **GREEDY).choices[0]
    found = answer.logprobs
    assert found is not None
    assert found.tokens
    assert found.token_logprobs
    assert found.top_logprobs
    assert found.text_offset
    assert len(found.tokens) == len(found.token_logprobs) == len(found.top_logprobs) == len(found.text_offset) == 8
    assert found.text_offset == sorted(found.text_offset)
    for token, offset, value, top in zip(
        found.tokens, found.text_offset, found.token_logprobs, found.top_logprobs, strict=True
    ):
        assert top[token] == value == max(top.values())
        assert token.startswith("bytes:") or answer.text[offset : offset + len(token)] == token
    offsets: list[int] = []
    for chunk in client.completions.create(model="tiny", prompt="a", logprobs=3, stream=True, **GREEDY):
        if chunk.choices[0].logprobs is not None:
            offsets += chunk.choices[0].logprobs.text_offset or []
    assert offsets == found.text_offset


def test_a_stop_string_ends_it(worker: Worker) -> None:
    text = worker.call("POST", PATH, {"prompt": "stop"} | GREEDY).json["choices"][0]["text"]
    cut = worker.call("POST", PATH, {"prompt": "stop", "stop": text[3:5]} | GREEDY).json["choices"][0]
    assert (cut["text"], cut["finish_reason"]) == (text[: text.index(text[3:5])], "stop")


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"suffix": "b"}, "unsupported", "/suffix"),
        ({"best_of": 3}, "unsupported", "/best_of"),
        ({"prompt": [600]}, "bad_request", "/prompt"),
        ({"prompt": ["a", [600]]}, "bad_request", "/prompt/1"),
        ({"prompt": ""}, "bad_request", "/prompt"),
        ({"prompt": "word " * 4000}, "context_length_exceeded", "/prompt"),
        ({"prompt": ["a", "word " * 4000]}, "context_length_exceeded", "/prompt/1"),
        (
            {"response_format": {"type": "json_object", "schema": {"not": {}}}},
            "unsupported",
            "/response_format/schema/not",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_refused(worker: Worker, fields: dict[str, Any], code: str, pointer: str, stream: bool) -> None:
    refused = worker.call("POST", PATH, {"prompt": "a", "stream": stream} | fields)
    assert (refused.status, refused.error["code"], refused.error["param"]) == (400, code, pointer)


def test_a_gap_is_filled_where_the_model_has_tokens_for_it(
    start_worker: Callable[..., Worker], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_vocabulary = make_gguf._add_decoder_vocabulary

    def with_gap(writer: Any, vocabulary: Any) -> None:
        add_vocabulary(writer, vocabulary)
        for name, token in (("fim_pre", 500), ("fim_suf", 501), ("fim_mid", 502)):
            writer.add_uint32(f"tokenizer.ggml.{name}_token_id", token)

    monkeypatch.setattr(make_gguf, "_add_decoder_vocabulary", with_gap)
    model = home / "gap.gguf"
    make_gguf.write_decoder(str(model), "tiny", "f32", 0)
    worker = start_worker("--context", "512", model=model)
    plain = worker.call("POST", PATH, {"prompt": "ab", "max_tokens": 3}).json
    filled = worker.call("POST", PATH, {"prompt": "ab", "suffix": "<|im_end|>", "echo": True, "max_tokens": 3}).json
    assert filled["usage"]["prompt_tokens"] >= plain["usage"]["prompt_tokens"] + 3 + 4  # the name is plain text here
    assert filled["choices"][0]["text"].startswith("ab")
    told = worker.call("GET", "/v1/models").json["data"][0]["capabilities"]
    assert "insert" in told
    assert list(read(model).capabilities) == told
