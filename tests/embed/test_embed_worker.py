# SPDX-License-Identifier: GPL-3.0-or-later
"""Rerank, the tokenisers, the template, and what happens to a worker whose clients come and go."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from embed_worker import until

DOCUMENTS = ["A cat sat on the mat.", "Berlin is a city.", "dogs bark", "The weather is fine.", "cat"]


@pytest.mark.parametrize("name", ["rank", "rank-decoder"])
def test_rerank(serve, name):
    worker = serve(name)
    body = {"model": "small", "query": "which cat?", "documents": DOCUMENTS}
    found = worker.post("/v1/rerank", body).json()
    scores = [one["relevance_score"] for one in found["results"]]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(DOCUMENTS)
    assert all(0 <= score <= 1 for score in scores)
    assert sorted(one["index"] for one in found["results"]) == list(range(len(DOCUMENTS)))
    assert found["usage"]["prompt_tokens"] == found["usage"]["total_tokens"] > len(DOCUMENTS)
    assert (found["object"], found["model"]) == ("list", "small")
    assert all("document" not in one for one in found["results"])
    mixed = [{"text": text} if index % 2 else text for index, text in enumerate(DOCUMENTS)]
    short = worker.post("/v1/rerank", body | {"documents": mixed, "top_n": 2, "return_documents": True}).json()
    assert [one["index"] for one in short["results"]] == [one["index"] for one in found["results"]][:2]
    assert [one["document"]["text"] for one in short["results"]] == [
        DOCUMENTS[one["index"]] for one in short["results"]
    ]
    for index, text in enumerate(DOCUMENTS):  # a document's score does not depend on its company
        alone = worker.post("/v1/rerank", body | {"documents": [text]}).json()["results"][0]["relevance_score"]
        together = next(one["relevance_score"] for one in found["results"] if one["index"] == index)
        assert alone == pytest.approx(together, abs=5e-3)


def test_a_document_that_is_too_long_is_named(serve):
    body = {"query": "q", "documents": ["a", "b", "word " * 2000]}
    error = serve("rank").refused("/v1/rerank", body)
    assert (error["code"], error["param"], error["limit"]) == ("context_length_exceeded", "/documents/2", 256)
    assert error["asked"] > 2000


@pytest.mark.parametrize("name", ["tiny", "embed", "rank-headless"])
def test_models_without_a_rank_head_refuse_by_name(serve, name):
    error = serve(name).refused("/v1/rerank", {"query": "q", "documents": ["a"]})
    assert (error["code"], error["capability"], error["param"]) == ("unsupported", "rerank", "/model")
    assert error["hint"]


@pytest.mark.parametrize("name", ["rank", "rank-headless"])
def test_a_rank_model_makes_no_embeddings(serve, name):
    error = serve(name).refused("/v1/embeddings", {"input": "a"})
    assert (error["code"], error["capability"]) == ("unsupported", "embeddings")
    assert "rerank" in error["hint"] or name == "rank-headless"


def test_a_document_cannot_end_its_own_turn(serve):
    worker = serve("rank-decoder")
    plain = worker.post("/v1/rerank", {"query": "q", "documents": ["x"]}).json()["usage"]["prompt_tokens"]
    sly = worker.post("/v1/rerank", {"query": "q", "documents": ["<|im_end|>"]}).json()["usage"]["prompt_tokens"]
    assert sly > plain + 3  # the name is ten characters of text, not one token


@pytest.mark.parametrize("name", ["tiny", "embed", "embed-cls", "embed-last", "rank"])
def test_tokens_and_back(serve, name):
    worker = serve(name)
    text = "hello world again"
    ids = worker.post("/tokenize", {"content": text}).json()["tokens"]
    assert ids
    assert worker.post("/detokenize", {"tokens": ids}).json()["content"].strip() == text
    named = worker.post("/tokenize", {"content": text, "with_pieces": True}).json()["tokens"]
    assert [one["id"] for one in named] == ids
    assert "".join(one["piece"] for one in named).strip() == text
    special = worker.post("/tokenize", {"content": text, "add_special": True}).json()["tokens"]
    framed = {"embed-cls": (1, 1), "rank": (1, 1), "embed-last": (0, 1)}.get(name, (0, 0))
    assert len(special) == len(ids) + sum(framed)
    assert special[framed[0] : len(special) - framed[1]] == ids
    mixed = worker.post("/tokenize", {"content": [text, 7, text]}).json()["tokens"]
    assert mixed == [*ids, 7, *ids]
    assert worker.post("/tokenize", {"content": ""}).json() == {"tokens": []}
    assert worker.post("/detokenize", {"tokens": []}).json() == {"content": ""}


def test_control_tokens_and_bytes(serve):
    worker = serve("tiny")
    parsed = worker.post("/tokenize", {"content": "<|im_end|>", "with_pieces": True}).json()["tokens"]
    assert [one["piece"] for one in parsed] == ["<|im_end|>"]
    spelled = worker.post("/tokenize", {"content": "<|im_end|>", "parse_special": False}).json()["tokens"]
    assert len(spelled) == 10
    assert worker.post("/detokenize", {"tokens": [parsed[0]["id"]]}).json()["content"] == "<|im_end|>"
    bytes_ = worker.post("/tokenize", {"content": "é", "with_pieces": True}).json()["tokens"]
    assert [one["piece"] for one in bytes_] == [[195], [169]]
    assert worker.post("/detokenize", {"tokens": [195]}).json()["content"] == "\ufffd"
    for path, body, where in (
        ("/detokenize", {"tokens": [1, 512]}, "/tokens/1"),
        ("/detokenize", {"tokens": [-1]}, "/tokens/0"),
        ("/tokenize", {"content": ["a", 512]}, "/content/1"),
    ):
        assert worker.refused(path, body)["param"] == where
    long = worker.post("/tokenize", {"content": "word " * 200_000})
    assert long.status_code == 200


def test_apply_template(serve):
    worker = serve("tiny")
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    found = worker.post("/apply-template", {"messages": messages}).json()["prompt"]
    assert found == ("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    begun = [*messages, {"role": "assistant", "content": "Sure"}]
    assert worker.post("/apply-template", {"messages": begun}).json()["prompt"] == found + "Sure"
    tokens = worker.post("/tokenize", {"content": found, "add_special": True}).json()["tokens"]
    usage = worker.post("/v1/chat/completions", {"messages": messages, "max_tokens": 1}).json()["usage"]
    assert usage["prompt_tokens"] == len(tokens)
    assert worker.refused("/apply-template", {})["param"] == "/messages"
    decoder = serve("embed-last").post("/apply-template", {"messages": messages})
    assert decoder.json()["prompt"] == found
    error = serve("embed").refused("/apply-template", {"messages": messages})
    assert (error["code"], error["capability"]) == ("unsupported", "chat_template")


def test_health_models_and_the_receipt(serve):
    worker = serve("embed")
    health = worker.health()
    assert (health["status"], health["context"], health["slots"], health["active"]) == ("ok", 512, 32, 0)
    answer = worker.post("/v1/embeddings", {"input": "hello"}, x_orch_receipt="1")
    receipt = json.loads(answer.headers["x-orch-receipt"])
    assert receipt["prompt_tokens"] == answer.json()["usage"]["prompt_tokens"]
    assert receipt["outcome"] == "stop"
    assert receipt["total_seconds"] > 0
    other = worker.post("/v1/embeddings", {"input": "hello", "model": "my-alias"}, x_orch_model="small")
    assert other.json()["model"] == "my-alias"


def test_a_client_that_leaves_frees_its_place_within_a_second(serve):
    worker = serve("embed-last")
    body = json.dumps({"input": [[1] * 2000] * 100}).encode()
    for _ in range(2):
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(str(worker.socket))
        head = (
            f"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        )
        raw.sendall(head.encode() + b"\r\n\r\n" + body)
        until(lambda: worker.health()["active"] == 1, "the request runs")
        raw.close()
        until(lambda: worker.health()["active"] == 0, "the place is free", 1.0)
    assert worker.post("/v1/embeddings", {"input": "still here"}).status_code == 200


def test_many_clients_get_their_own_vectors(serve):
    worker = serve("embed")
    texts = [f"text number {number} " + "x" * number for number in range(24)]

    def ask(text):
        return worker.post("/v1/embeddings", {"input": text}).json()["data"][0]["embedding"]

    expected = [one["embedding"] for one in worker.post("/v1/embeddings", {"input": texts}).json()["data"]]
    with ThreadPoolExecutor(8) as pool:
        for found, row in zip(pool.map(ask, texts), expected, strict=True):
            assert sum(a * b for a, b in zip(found, row, strict=True)) >= 0.999


def test_a_full_worker_says_so_at_once(serve):
    worker = serve("embed-last", "--slots", "1", "--queue", "1")
    large = json.dumps({"input": [[1] * 2000] * 100}).encode()
    waiting = []
    for _ in range(2):
        connection = http.client.HTTPConnection("x")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(worker.socket))
        connection.request("POST", "/v1/embeddings", large, {"content-type": "application/json"})
        waiting.append(connection)
        until(lambda: sum(worker.health()[what] for what in ("active", "queued")) == len(waiting), "it is inside")
    full = worker.post("/v1/embeddings", {"input": "a"})
    assert full.status_code == 429
    assert int(full.headers["retry-after"]) >= 1
    for connection in waiting:
        connection.close()


def test_a_context_beyond_the_models_is_told(serve):
    worker = serve("embed", "--context", "4096")
    assert worker.health()["context"] == 512
    assert any("4096" in warning["message"] for warning in worker.health()["warnings"])
    assert serve("embed", "--context", "100").refused("/v1/embeddings", {"input": "a" * 101})["limit"] == 100


def test_sigterm_in_the_middle(serve):
    worker = serve("embed-last", "--keep-alive", "60")
    body = json.dumps({"input": [[1] * 2000] * 300}).encode()
    connection = http.client.HTTPConnection("x")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(worker.socket))
    connection.request("POST", "/v1/embeddings", body, {"content-type": "application/json"})
    until(lambda: worker.health()["active"] == 1, "it runs")
    begun = time.monotonic()
    worker.process.send_signal(signal.SIGTERM)
    until(lambda: not worker.socket.exists(), "it is ending")
    worker.process.send_signal(signal.SIGTERM)  # asked twice: whoever asks means it
    answer = connection.getresponse()
    assert answer.status == 503
    assert json.loads(answer.read())["error"]["code"] == "worker_stopping"
    assert worker.process.wait(20) == 0
    assert time.monotonic() - begun < 10
    connection.close()
