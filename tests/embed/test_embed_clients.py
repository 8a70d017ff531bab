# SPDX-License-Identifier: GPL-3.0-or-later
"""The openai and ollama packages against real workers."""

from __future__ import annotations

import math

import httpx
import ollama
import openai
import pytest

TEXTS = ["Hello world", "a cat", "An entirely different and somewhat longer text."]


def length(vector):
    return math.sqrt(sum(number * number for number in vector))


def cosine(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True)) / length(one) / length(other)


@pytest.fixture
def openai_client(serve):
    def connect(name: str, *options: str) -> openai.OpenAI:
        http = httpx.Client(transport=serve(name, *options).transport())
        return openai.OpenAI(base_url="http://localhost/v1", api_key="none", max_retries=0, http_client=http)

    return connect


@pytest.fixture
def ollama_client(serve):
    opened: list[ollama.Client] = []

    def connect(name: str) -> ollama.Client:
        opened.append(ollama.Client("http://localhost", transport=serve(name).transport()))
        return opened[-1]

    yield connect
    for client in opened:
        client._client.close()


@pytest.mark.parametrize("name", ["embed", "embed-cls", "embed-last"])
def test_openai_batches_in_both_encodings(openai_client, name):
    with openai_client(name) as client:
        packed = client.embeddings.create(model="small", input=TEXTS)  # the package asks for base64
        plain = client.embeddings.create(model="small", input=TEXTS, encoding_format="float")
        assert [one.index for one in plain.data] == [0, 1, 2]
        assert plain.object == "list"
        assert plain.model == "small"
        assert plain.usage.prompt_tokens == plain.usage.total_tokens == packed.usage.prompt_tokens > 0
        for one, other, text in zip(packed.data, plain.data, TEXTS, strict=True):
            assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
            assert length(other.embedding) == pytest.approx(1.0, abs=1e-5)
            alone = client.embeddings.create(model="small", input=text, encoding_format="float")
            assert cosine(alone.data[0].embedding, other.embedding) >= 0.999


def test_openai_tokens_are_taken_as_they_are(openai_client, serve):
    with openai_client("embed-cls") as client:
        worker = serve("embed-cls")
        asked = {"content": TEXTS[0], "add_special": True}
        tokens = worker.post("/tokenize", asked).json()["tokens"]
        by_text = client.embeddings.create(model="small", input=TEXTS[0], encoding_format="float")
        for wish in (tokens, [tokens]):
            by_tokens = client.embeddings.create(model="small", input=wish, encoding_format="float")
            assert by_tokens.data[0].embedding == pytest.approx(by_text.data[0].embedding, abs=1e-5)
            assert by_tokens.usage.prompt_tokens == len(tokens)


def test_openai_dimensions_where_the_model_was_trained_for_it(openai_client):
    with openai_client("embed-cls") as client:  # its GGUF says: 64 and 32
        whole = client.embeddings.create(model="small", input="a cat", encoding_format="float").data[0].embedding
        for wanted in (32, 64, 128):
            found = client.embeddings.create(model="small", input="a cat", dimensions=wanted).data[0].embedding
            assert len(found) == wanted
            scale = length(whole[:wanted])
            assert found == pytest.approx([number / scale for number in whole[:wanted]], abs=1e-5)
        for wanted, code in ((63, "unsupported"), (129, "bad_request")):
            with pytest.raises(openai.BadRequestError) as refused:
                client.embeddings.create(model="small", input="a cat", dimensions=wanted)
            assert refused.value.code == code
            assert refused.value.param == "/dimensions"
    with openai_client("embed") as client, pytest.raises(openai.BadRequestError, match="does not say") as unsaid:
        client.embeddings.create(model="small", input="a cat", dimensions=64)
    assert unsaid.value.body["capability"] == "dimensions"


def test_openai_errors(openai_client):
    with openai_client("embed") as client:
        with pytest.raises(openai.BadRequestError) as too_long:
            client.embeddings.create(model="small", input=["a", "b " * 2000])
        body = too_long.value.body
        assert (body["code"], body["limit"], body["param"]) == ("context_length_exceeded", 512, "/input/1")
        assert body["asked"] > 512
        assert str(body["asked"]) in body["message"]
        assert "512" in body["message"]
        with pytest.raises(openai.NotFoundError) as unknown:
            client.embeddings.create(model="another", input="a")
        assert unknown.value.code == "model_not_found"
        for empty in ("", [""], []):
            with pytest.raises(openai.BadRequestError):
                client.embeddings.create(model="small", input=empty)
        with pytest.raises(openai.BadRequestError) as foreign:
            client.embeddings.create(model="small", input=[[1, 5000]])
        assert foreign.value.param == "/input/0"


def test_a_model_that_generates_refuses_to_embed_by_name(openai_client):
    with openai_client("tiny") as client:
        with pytest.raises(openai.BadRequestError) as refused:
            client.embeddings.create(model="small", input="a")
        assert (refused.value.code, refused.value.body["capability"]) == ("unsupported", "embeddings")
        assert refused.value.body["hint"]
        assert client.chat.completions.create(
            model="small", messages=[{"role": "user", "content": "Hi"}], max_tokens=2
        ).choices


@pytest.mark.parametrize("name", ["embed", "rank"])
def test_a_model_that_embeds_refuses_to_chat_by_name(openai_client, ollama_client, name):
    with openai_client(name) as client:
        for ask in (
            lambda: client.chat.completions.create(model="small", messages=[{"role": "user", "content": "Hi"}]),
            lambda: client.completions.create(model="small", prompt="Hi"),
            lambda: client.responses.create(model="small", input="Hi"),
        ):
            with pytest.raises(openai.BadRequestError) as refused:
                ask()
            assert (refused.value.code, refused.value.body["capability"]) == ("unsupported", "generation")
        assert [one.id for one in client.models.list()] == ["small"]
    with pytest.raises(ollama.ResponseError) as told:
        ollama_client(name).chat(model="small", messages=[{"role": "user", "content": "Hi"}])
    assert told.value.status_code == 400


def test_ollama_embed(ollama_client, openai_client):
    client = ollama_client("embed-cls")
    found = client.embed(model="small", input=TEXTS)
    assert (found.model, len(found.embeddings)) == ("small", 3)
    assert found.prompt_eval_count > 0
    assert found.total_duration > 0
    assert found.load_duration == 0
    with openai_client("embed-cls") as other:
        expected = other.embeddings.create(model="small", input=TEXTS, encoding_format="float")
    for row, one in zip(found.embeddings, expected.data, strict=True):
        assert list(row) == pytest.approx(one.embedding, abs=1e-5)
    single = client.embed(model="small", input="a cat", dimensions=32, keep_alive="5m", options={"num_ctx": 512})
    assert len(single.embeddings) == 1
    assert len(single.embeddings[0]) == 32
    assert client.embed(model="small", input="").embeddings == []
    assert client.embed(model="small", input=[]).embeddings == []


def test_ollama_legacy_is_not_normalised(ollama_client):
    client = ollama_client("embed-cls")
    old, new = client.embeddings(model="small", prompt="a cat"), client.embed(model="small", input="a cat")
    assert length(old.embedding) > 1.5
    assert cosine(old.embedding, new.embeddings[0]) == pytest.approx(1.0, abs=1e-5)
    assert client.embeddings(model="small", prompt="").embedding == []


def test_ollama_cuts_only_when_it_may(serve, ollama_client):
    long = "word " * 3000
    client = ollama_client("embed-cls")
    cut = client.embed(model="small", input=["a", long])
    assert cut.prompt_eval_count == 256 + 3
    told = serve("embed-cls").post("/api/embed", {"model": "small", "input": ["a", long, long]})
    assert told.headers["x-orch-truncated"] == "2"
    assert "x-orch-truncated" not in serve("embed-cls").post("/api/embed", {"model": "small", "input": "a"}).headers
    with pytest.raises(ollama.ResponseError) as refused:
        client.embed(model="small", input=long, truncate=False)
    assert refused.value.status_code == 400
    assert "256" in refused.value.error
    with pytest.raises(ollama.ResponseError, match="generates text"):
        ollama_client("tiny").embed(model="small", input="a")
