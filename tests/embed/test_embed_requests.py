# SPDX-License-Identifier: GPL-3.0-or-later
"""The bodies of the dialects that do not generate: what is understood, how the rest is refused, what schemas say."""

from __future__ import annotations

import json
from array import array
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutated

from llama_orch.wire import apply_template, detokenize, embeddings, ollama_embed, rerank, tokenize
from llama_orch.wire.apply_template import schema as template_schema
from llama_orch.wire.detokenize import schema as detokenize_schema
from llama_orch.wire.detokenize.request import DetokenizeWish
from llama_orch.wire.embedding import EmbeddingWish, Vectors, numbers
from llama_orch.wire.embeddings import schema as embeddings_schema
from llama_orch.wire.ollama_embed import schema as ollama_schema
from llama_orch.wire.rerank import schema as rerank_schema
from llama_orch.wire.rerank.answer import Ranking
from llama_orch.wire.rerank.request import RerankWish
from llama_orch.wire.tokenize import schema as tokenize_schema
from llama_orch.wire.tokenize.answer import Tokenized
from llama_orch.wire.tokenize.request import TokenizeWish
from llama_orch_utils.errors import OrchError, RequestError, UnsupportedByTarget


def read(dialect: Any, **body: Any) -> Any:
    return dialect.DIALECT.parse(json.dumps(body).encode())


def test_inputs_in_all_their_forms():
    one = read(embeddings, input="a")
    assert one == EmbeddingWish(("a",), "/input", single=True)
    assert one.where(0) == "/input"
    many = read(embeddings, input=["a", [1, 2.0]], model="m", dimensions=3, encoding_format="base64", user="u")
    assert many == EmbeddingWish(("a", (1, 2)), "/input", model="m", dimensions=3, encoding="base64")
    assert many.where(1) == "/input/1"
    assert read(embeddings, input=[1, 2]).inputs == ((1, 2),)
    assert read(embeddings, input=[[1], [2]]).inputs == ((1,), (2,))
    assert read(embeddings, input=["a"], dimensions=None, encoding_format=None).encoding == "float"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "/input"),
        ({"input": None}, "/input"),
        ({"input": ""}, "/input"),
        ({"input": []}, "/input"),
        ({"input": [[]]}, "/input/0"),
        ({"input": ["a", ""]}, "/input/1"),
        ({"input": ["a", 1]}, "/input/1"),
        ({"input": [1, "a"]}, "/input/1"),
        ({"input": [1, -1]}, "/input/1"),
        ({"input": [1, 1.5]}, "/input/1"),
        ({"input": [True]}, "/input/0"),
        ({"input": [1, True]}, "/input/1"),
        ({"input": [[1, 2**31]]}, "/input/0/1"),
        ({"input": ["a"] * 2049}, "/input"),
        ({"input": {"text": "a"}}, "/input"),
        ({"input": 7}, "/input"),
        ({"input": "a", "dimensions": 0}, "/dimensions"),
        ({"input": "a", "dimensions": 2**40}, "/dimensions"),
        ({"input": "a", "encoding_format": "int8"}, "/encoding_format"),
        ({"input": "a", "model": 7}, "/model"),
        ({"input": "a", "task": "x"}, "/task"),
    ],
)
def test_embeddings_refused_by_pointer(body, where):
    with pytest.raises(RequestError) as refused:
        read(embeddings, **body)
    assert (refused.value.param, refused.value.status) == (where, 400)


def test_what_ollama_takes():
    assert read(ollama_embed, model="m", input="a") == EmbeddingWish(
        ("a",), "/input", single=True, model="m", truncate=True
    )
    assert read(ollama_embed, model="m").inputs == ()
    assert read(ollama_embed, model="m", input="").inputs == ()
    assert read(ollama_embed, model="m", input=[]).inputs == ()
    full = read(ollama_embed, model="m", input=["a", "b"], truncate=False, dimensions=64, keep_alive="5m",
                options={"num_ctx": 8192, "anything": 1})  # fmt: skip
    assert full == EmbeddingWish(("a", "b"), "/input", model="m", dimensions=64)
    legacy = ollama_embed.LEGACY.parse(b'{"model": "m", "prompt": "a", "keep_alive": -1}')
    assert legacy == EmbeddingWish(("a",), "/prompt", single=True, model="m", truncate=True, normalised=False)
    for body, where in (
        ({"input": "a"}, "/model"),
        ({"model": "m", "input": [1]}, "/input/0"),
        ({"model": "m", "input": ["a", ""]}, "/input/1"),
        ({"model": "m", "input": 1}, "/input"),
        ({"model": "m", "input": "a", "keep_alive": "soon"}, "/keep_alive"),
        ({"model": "m", "input": "a", "odd": 1}, "/odd"),
    ):
        with pytest.raises(RequestError) as refused:
            read(ollama_embed, **body)
        assert refused.value.param == where


def test_what_a_rerank_request_says():
    wish = read(rerank, query="q", documents=["a", {"text": "b"}], top_n=1, return_documents=True, model="m")
    assert wish == RerankWish("q", ("a", "b"), 1, return_documents=True, model="m")
    for body, where in (
        ({"documents": ["a"]}, "/query"),
        ({"query": "", "documents": ["a"]}, "/query"),
        ({"query": "q"}, "/documents"),
        ({"query": "q", "documents": []}, "/documents"),
        ({"query": "q", "documents": ["a", 1]}, "/documents/1"),
        ({"query": "q", "documents": [{"title": "a"}]}, "/documents/0/text"),
        ({"query": "q", "documents": [{"text": "a", "title": "b"}]}, "/documents/0/title"),
        ({"query": "q", "documents": ["a"], "top_n": 0}, "/top_n"),
        ({"query": "q", "documents": ["a"], "max_tokens_per_doc": 9}, "/max_tokens_per_doc"),
    ):
        with pytest.raises(RequestError) as refused:
            read(rerank, **body)
        assert refused.value.param == where
    with pytest.raises(UnsupportedByTarget) as unserved:
        read(rerank, query="q", documents=["a"], max_tokens_per_doc=9)
    assert unserved.value.capability == "max_tokens_per_doc"


def test_what_the_tokenisers_take():
    assert read(tokenize, content="a") == TokenizeWish(("a",))
    assert read(tokenize, content=["a", 1], add_special=True, parse_special=False, with_pieces=True) == TokenizeWish(
        ("a", 1), special=True, parse=False, pieces=True, listed=True
    )
    assert read(tokenize, content="").content == ("",)
    assert read(tokenize, content=[]).content == ()
    assert read(detokenize, tokens=[1, 2]) == DetokenizeWish((1, 2))
    assert read(detokenize, tokens=[]).tokens == ()
    for dialect, body, where in (
        (tokenize, {}, "/content"),
        (tokenize, {"content": 1}, "/content"),
        (tokenize, {"content": ["a", -1]}, "/content/1"),
        (tokenize, {"content": ["a", None]}, "/content/1"),
        (tokenize, {"content": "a", "add_special": 1}, "/add_special"),
        (detokenize, {}, "/tokens"),
        (detokenize, {"tokens": ["a"]}, "/tokens/0"),
        (detokenize, {"tokens": [1, -1]}, "/tokens/1"),
        (detokenize, {"tokens": [1], "x": 1}, "/x"),
    ):
        with pytest.raises(RequestError) as refused:
            read(dialect, **body)
        assert refused.value.param == where


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_come_back_exactly(values):
    row = array("f", values).tobytes()
    assert array("f", json.loads(numbers(row))) == array("f", values)


def test_answers_fit_their_schemas():
    row = array("f", [0.5, -1e-7]).tobytes()
    vectors = Vectors('m"ü', [row, row], 3, seconds=0.25)
    for encoding in ("float", "base64"):
        wish = EmbeddingWish(("a", "b"), "/input", encoding=encoding)
        valid(embeddings_schema.ANSWER, embeddings.DIALECT.answer(vectors, wish))
    wish = EmbeddingWish((), "/input")
    valid(ollama_schema.ANSWER, ollama_embed.DIALECT.answer(vectors, wish))
    empty = Vectors("m", [], 0)
    assert valid(ollama_schema.ANSWER, ollama_embed.DIALECT.answer(empty, wish))["embeddings"] == []
    assert valid(ollama_schema.LEGACY_ANSWER, ollama_embed.LEGACY.answer(empty, wish)) == {"embedding": []}
    valid(ollama_schema.LEGACY_ANSWER, ollama_embed.LEGACY.answer(vectors, wish))
    asked = RerankWish("q", ("a", "b", "c"), top_n=2, return_documents=True)
    ranked = valid(rerank_schema.ANSWER, rerank.DIALECT.answer(Ranking("i", "m", [0.1, 0.9, 0.9], 5), asked))
    assert [(one["index"], one["document"]["text"]) for one in ranked["results"]] == [(1, "b"), (2, "c")]
    pieces = TokenizeWish(("a",), pieces=True)
    named = valid(tokenize_schema.ANSWER, tokenize.DIALECT.answer(Tokenized([1, 2], [b"a", b"\xff"]), pieces))
    assert named == {"tokens": [{"id": 1, "piece": "a"}, {"id": 2, "piece": [255]}]}
    valid(tokenize_schema.ANSWER, tokenize.DIALECT.answer(Tokenized([1]), TokenizeWish(("a",))))
    valid(detokenize_schema.ANSWER, detokenize.DIALECT.answer("ü", DetokenizeWish(())))
    valid(template_schema.ANSWER, apply_template.DIALECT.answer("ü", read(apply_template, messages=HELLO)))


HELLO = [{"role": "user", "content": "Hi"}]


def valid(schema: Any, body: bytes) -> Any:
    found = json.loads(body)
    jsonschema_rs.validate(schema, found)
    return found


TOKENS = [1, 2.0, 5]
CASES: dict[str, tuple[Any, Any, list[Any]]] = {
    "embeddings": (
        embeddings.DIALECT,
        embeddings_schema.REQUEST,
        [
            {"input": "a", "model": "m", "dimensions": 4, "encoding_format": "float", "user": "u"},
            {"input": ["a", "b", TOKENS]},
            {"input": TOKENS},
        ],
    ),
    "rerank": (
        rerank.DIALECT,
        rerank_schema.REQUEST,
        [{"query": "q", "documents": ["a", {"text": "b"}], "top_n": 3, "return_documents": True, "model": "m"}],
    ),
    "tokenize": (
        tokenize.DIALECT,
        tokenize_schema.REQUEST,
        [
            {"content": "a", "add_special": True, "parse_special": False, "with_pieces": True, "model": "m"},
            {"content": ["a", 3]},
        ],
    ),
    "detokenize": (detokenize.DIALECT, detokenize_schema.REQUEST, [{"tokens": [1, 2], "model": "m"}]),
    "ollama": (
        ollama_embed.DIALECT,
        ollama_schema.REQUEST,
        [{"model": "m", "input": ["a", "b"], "truncate": True, "dimensions": 3, "options": {}, "keep_alive": "5m"}],
    ),
    "legacy": (
        ollama_embed.LEGACY,
        ollama_schema.LEGACY_REQUEST,
        [{"model": "m", "prompt": "a", "options": {"seed": 1}, "keep_alive": 5}],
    ),
}


def taken(dialect: Any, body: Any) -> bool:
    """Whether the parser takes it; what it does not take is a 400."""
    try:
        dialect.parse(json.dumps(body).encode())
    except RequestError as error:
        return error.status != 400
    return True


@pytest.mark.parametrize("name", CASES)
def test_the_schema_says_what_the_parser_does(name):
    dialect, schema, bodies = CASES[name]
    validator = jsonschema_rs.validator_for(schema)
    for body in bodies:
        dialect.parse(json.dumps(body).encode())
        assert validator.is_valid(body)

    @settings(max_examples=150, deadline=None)
    @given(mutated(bodies))
    def agree(body):
        assert taken(dialect, body) == validator.is_valid(body)

    agree()


@pytest.mark.parametrize(
    "dialect", [*(case[0] for case in CASES.values()), apply_template.DIALECT], ids=[*map(str, CASES), "apply_template"]
)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"input": "\\ud800", "content": "\\ud800"}', b"\xff", b'{"a": NaN}']
)
def test_what_is_no_json(dialect, body):
    with pytest.raises(OrchError) as refused:
        dialect.parse(body)
    assert refused.value.status == 400
    assert b'"error"' in dialect.failure(refused.value)
