# SPDX-License-Identifier: GPL-3.0-or-later
"""What a GGUF says about embedding, read from real files."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest

import make_gguf
from llama_orch.engine.embedding import Embedder, read_card, wanted
from llama_orch.engine.embedding.card import Head
from llama_orch.engine.embedding.gguf_facts import gguf_facts, mentions_pooling
from llama_orch.engine.embedding.matryoshka import Matryoshka, read_matryoshka
from llama_orch.engine.records import EngineOptions
from llama_orch_utils.errors import BadRequest, EngineFailed, UnsupportedByTarget


def header(path: Path, **metadata: object) -> Path:
    """A GGUF with metadata alone."""
    writer = gguf.GGUFWriter(str(path), "bert")
    for key, value in metadata.items():
        name = key.replace("__", ".")
        if isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, list):
            writer.add_array(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        else:
            writer.add_string(name, str(value))
    writer.add_tensor("cls.weight", make_gguf.np.zeros(32, make_gguf.np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def read(path: Path) -> Matryoshka:
    with gguf_facts(path) as facts:
        assert facts is not None
        return read_matryoshka(facts, "bert")


def test_facts_of_every_type_and_none_for_another(tmp_path):
    path = header(tmp_path / "a.gguf", general__name="Näme", bert__n=7, bert__yes=True, bert__list=[3, 2],
                  general__tags=["a", "bé"])  # fmt: skip
    with gguf_facts(path) as facts:
        assert facts is not None
        assert (facts.text("general.name"), facts.integer("bert.n"), facts.integer("bert.yes")) == ("Näme", 7, 1)
        assert (facts.integers("bert.list"), facts.texts("general.tags")) == ((3, 2), ("a", "bé"))
        assert (facts.text("bert.n"), facts.integer("general.name"), facts.text("none")) == (None, None, None)
        assert (facts.texts("bert.list"), facts.integers("general.tags"), facts.integers("bert.n")) == ((), (), ())
        assert facts.has_tensor("cls.weight")
        assert not facts.has_tensor("cls.bias")
    garbage = tmp_path / "garbage.gguf"
    garbage.write_bytes(b"GGUF" + b"\xff" * 100)
    with gguf_facts(garbage) as facts:
        assert facts is None


def test_cards_of_the_models(model_file, tiny_gguf):
    cards = {name: read_card(model_file(name)) for name in ("embed", "embed-cls", "embed-last", "rank", "rank-decoder")}
    assert {name: card.pooling for name, card in cards.items() if card} == {
        "embed": "mean",
        "embed-cls": "cls",
        "embed-last": "last",
        "rank": "rank",
        "rank-decoder": "rank",
    }
    assert cards["rank"].head == Head(1, 0, probability=False)
    assert cards["rank-decoder"].head == Head(2, 0, probability=True)
    assert cards["embed"].head is None
    assert cards["embed-cls"].matryoshka.lengths == (64, 32)
    assert read_card(model_file("rank-headless")).head is None
    assert not mentions_pooling(tiny_gguf)
    assert read_card(tiny_gguf) is None
    assert wanted(model_file("embed"))
    assert not wanted(tiny_gguf)


def test_a_generating_model_is_no_embedder(tiny_gguf):
    with pytest.raises(EngineFailed, match="states no pooling"):
        Embedder.load(tiny_gguf, EngineOptions())


@pytest.mark.parametrize("content", [b"", b"junk", b"GGUF\x03\x00\x00\x00 .pooling_type"])
def test_a_file_that_is_no_model(tmp_path, content):
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    with pytest.raises(EngineFailed):
        wanted(path)
    with pytest.raises(EngineFailed, match="does not exist"):
        wanted(tmp_path / "missing.gguf")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"bert__matryoshka_dimensions": [64, 32, 0]}, Matryoshka((64, 32))),
        ({"general__matryoshka_dimensions": [64]}, Matryoshka((64,))),
        ({"bert__is_matryoshka": True}, Matryoshka(shortest=1)),
        ({"bert__is_matryoshka": False}, Matryoshka()),
        ({"general__tags": ["mteb", "loss:MatryoshkaLoss"]}, Matryoshka(shortest=1)),
        ({"general__tags": ["mteb", "sentence-transformers"]}, Matryoshka()),
        ({"general__name": "nomic-embed-text-v1.5"}, Matryoshka((512, 256, 128, 64))),
        ({"general__name": "Nomic Embed Text V1.5"}, Matryoshka((512, 256, 128, 64))),
        ({"general__name": "nomic-embed-text-v1"}, Matryoshka()),
        ({"general__name": "Qwen3 Embedding 0.6B"}, Matryoshka(shortest=32)),
        ({"general__name": "x", "general__basename": "embeddinggemma"}, Matryoshka((512, 256, 128))),
        ({"general__name": "my-qwen3-embeddings"}, Matryoshka()),
        ({"general__name": 7}, Matryoshka()),
        ({}, Matryoshka()),
    ],
)
def test_what_a_model_says_about_shorter_vectors(tmp_path, metadata, expected):
    assert read(header(tmp_path / "a.gguf", **metadata)) == expected


def test_what_may_be_asked_for():
    Matryoshka().check(128, 128, "/dimensions")
    Matryoshka((64, 32)).check(32, 128, "/dimensions")
    Matryoshka(shortest=32).check(33, 128, "/dimensions")
    with pytest.raises(BadRequest, match="have 128 numbers") as beyond:
        Matryoshka((64,)).check(129, 128, "/dimensions")
    assert beyond.value.param == "/dimensions"
    for matryoshka, wish, words in (
        (Matryoshka(), 64, "does not say"),
        (Matryoshka((64, 32)), 63, "32, 64, 128"),
        (Matryoshka(shortest=32), 31, "32 to 128"),
    ):
        with pytest.raises(UnsupportedByTarget, match=words) as refused:
            matryoshka.check(wish, 128, "/dimensions")
        assert (refused.value.capability, refused.value.param) == ("dimensions", "/dimensions")
