# SPDX-License-Identifier: GPL-3.0-or-later
"""`embed` and `rerank`: what is sent, what comes back, and what is refused."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sdk_canary import CANARY

from llama_orch_utils import AsyncClient, BadRequest, Client, Embeddings, InvalidAnswer, UnsupportedByTarget, Usage
from llama_orch_utils.client import vectors
from llama_orch_utils.testing import FakeTap


def test_vectors_in_order_as_base64(tap: FakeTap, client: Client):
    tap.vectors((1.0, 0.0), (0.6, 0.8))
    found = client.embed(["a", "b c"], model="embedder", dimensions=2, extra={"user": "me"})
    assert found.vectors[0] == [1.0, 0.0]
    assert found.vectors[1] == pytest.approx([0.6, 0.8])
    assert (len(found), found.dimensions, found.model, found.target) == (2, 2, "embedder", tap.url)
    assert found.usage == Usage(3)
    assert tap.asked[0].path == "/v1/embeddings"
    assert tap.asked[0].json == {
        "model": "embedder", "input": ["a", "b c"], "encoding_format": "base64", "dimensions": 2, "user": "me",
    }  # fmt: skip
    assert len(repr(found)) < 120
    assert json.loads(json.dumps(found.to_dict()))["vectors"][0] == [1.0, 0.0]


def test_numpy_only_when_asked_for(tap: FakeTap, client: Client):
    found = client.embed(["a", "b"])
    matrix = found.numpy()
    assert (matrix.shape, matrix.dtype) == ((2, 8), np.float32)
    assert matrix.tolist() == found.vectors
    assert np.linalg.norm(matrix[0]) == pytest.approx(1.0)
    code = (
        "import sys; from llama_orch_utils import Client; c = Client(sys.argv[1], key='k', model='m')\n"
        "print(len(c.embed('a').vectors[0]), 'numpy' in sys.modules, 'pydantic' in sys.modules)\n"
        "sys.modules['numpy'] = None\n"
        "from llama_orch_utils import ConfigError\n"
        "try: c.embed('a').numpy()\n"
        "except ConfigError as error: print(error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", code, tap.url], capture_output=True, text=True, check=True)
    assert done.stdout == "8 False False\npip install numpy, or use .vectors\n"


def test_lists_of_numbers_from_targets_without_base64(tap: FakeTap, client: Client):
    data = [{"index": 1, "embedding": [3, 4.5]}, {"index": 0, "embedding": [1, 2]}]
    from llama_orch_utils.testing import Script

    tap.script(Script(body=json.dumps({"data": data, "model": "x", "usage": {"prompt_tokens": 2}}).encode()))
    assert client.embed(["a", "b"]).vectors == [[1.0, 2.0], [3.0, 4.5]]


def test_many_texts_go_in_lots(tap: FakeTap, client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vectors, "MOST_TEXTS", 3)
    texts = [f"text {number}" for number in range(8)]
    found = client.embed(texts)
    assert [len(asked.json["input"]) for asked in tap.asked] == [3, 3, 2]
    assert (len(found), found.usage.input_tokens) == (8, 16)
    assert found.vectors == [client.embed(text).vectors[0] for text in texts]


@pytest.mark.parametrize("texts", [[], "x", [1], [b"x"]])
def test_what_is_no_text(tap: FakeTap, client: Client, texts: Any):
    if texts == "x":
        assert len(client.embed(texts)) == 1
        return
    with pytest.raises(BadRequest):
        client.embed(texts)
    assert not tap.asked


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}],
        [{"embedding": [1.0]}, {"embedding": [1.0, 2.0]}],
        [{"embedding": "not base64!"}, {"embedding": "AACAPw=="}],
        [{"embedding": "AACA"}, {"embedding": "AACAPw=="}],
        [{"embedding": []}, {"embedding": []}],
        [{"embedding": None}, {}],
        ["x", "y"],
        None,
    ],
)
def test_odd_answers_are_refused(tap: FakeTap, client: Client, data: Any):
    from llama_orch_utils.testing import Script

    tap.script(Script(body=json.dumps({"data": data}).encode()))
    with pytest.raises(InvalidAnswer) as caught:
        client.embed(["a", "b"])
    assert caught.value.pointer.startswith("/data")


def test_what_the_target_cannot_do_is_named(tap: FakeTap, client: Client):
    tap.error(400, "this model's vectors cannot be shortened", code="unsupported", param="/dimensions")
    with pytest.raises(UnsupportedByTarget) as caught:
        client.embed("a", dimensions=3)
    assert (caught.value.capability, caught.value.param) == ("dimensions", "/dimensions")


def test_rerank(tap: FakeTap, client: Client):
    documents = ["nothing", "a red bird", "a bird"]
    ranking = client.rerank("red bird", documents, top_n=2)
    assert [(each.index, each.document) for each in ranking.results] == [(1, "a red bird"), (2, "a bird")]
    assert tap.asked[0].path == "/v1/rerank"
    assert tap.asked[0].json == {"model": "fake-model", "query": "red bird", "documents": documents, "top_n": 2}
    tap.scores(0.1, -2.0, 0.5)
    assert [each.score for each in client.rerank("x", documents).results] == [0.5, 0.1, -2.0]
    from llama_orch_utils.testing import Script

    for results in (None, [{"index": 3, "relevance_score": 1}], [{"index": 0}], ["x"]):
        tap.script(Script(body=json.dumps({"results": results}).encode()))
        with pytest.raises(InvalidAnswer):
            client.rerank("x", documents)
    with pytest.raises(BadRequest):
        client.rerank("x", [])


def test_the_async_client(tap: FakeTap):
    async def main() -> None:
        async with AsyncClient(tap.url, key=CANARY, model="m") as client:
            found, ranking = await asyncio.gather(client.embed(["a"]), client.rerank("a", ["a", "b"]))
            assert math.isclose(sum(each * each for each in found.vectors[0]), 1, rel_tol=1e-5)
            assert ranking.results[0].document == "a"
            assert isinstance(found, Embeddings)

    asyncio.run(main())


def test_documents_are_a_list_never_the_letters_of_one(tap: FakeTap, client: Client):
    with pytest.raises(BadRequest, match="documents is one text"):
        client.rerank("q", "abc")
    assert tap.asked == []
