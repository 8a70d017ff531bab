# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue that ships: whole, usable, and honest about what it does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from llama_orch.models.catalogue import Catalogue, pull_hint
from llama_orch.models.hub.quantisations import PREFERRED, same
from llama_orch.models.names import check_name
from llama_orch.models.source import HubSource
from llama_orch_utils.errors import ConfigError, ModelNotFound


@pytest.fixture
def ours(tmp_path: Path) -> Catalogue:
    return Catalogue.read(tmp_path / "none.toml")


def test_every_entry_is_whole(ours: Catalogue) -> None:
    models = list(ours)
    assert len(models) >= 48
    for model in models:
        assert check_name(model.name) == model.name
        assert model.title
        assert model.by
        assert model.licence
        assert model.parameters
        assert model.context
        assert model.does
        assert model.quantisation
        assert any(same(model.quantisation, each) for each in PREFERRED)
        source = model.source()
        assert isinstance(source, HubSource)
        assert source.pattern
        assert "{quant}" in source.pattern
        assert ours.find(model.name) == (model, None)
        assert ours.find(f"{model.name}-q8_0") == (model, "Q8_0")
    assert len({model.name for model in models}) == len(models)
    assert {"chat", "thinking", "tools", "vision", "code", "embeddings"} == {each for m in models for each in m.does}


def test_names_are_found_as_people_type_them(ours: Catalogue) -> None:
    assert ours.find("Qwen3:0.6B")[0].name == "qwen3:0.6b"
    model, quantisation = ours.find("qwen3.6:35b-a3b-ud-q4_k_m")
    assert (model.name, quantisation) == ("qwen3.6:35b-a3b", "UD-Q4_K_M")


@pytest.mark.parametrize("name", ["qwen3", "qwen3:99b", "nope", "", ":", "qwen3:0.6b-", "qwen3:0.6b-q9", "../x"])
def test_unknown_names(ours: Catalogue, name: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        ours.find(name)
    assert caught.value.hint


def test_the_hint_for_a_model_that_is_not_here(orch_home: Path) -> None:
    assert pull_hint("qwen3:0.6b") == "orch pull qwen3:0.6b"
    assert pull_hint("qwen3:4b-q8_0") == "orch pull qwen3:4b-q8_0"
    assert pull_hint("hf://o/r:Q8_0") == "orch pull hf://o/r:Q8_0"
    for name in ("nope", "qwen3", "/tmp/x.gguf", "hf://", "https://host/x.gguf", "a\nb", ""):
        assert pull_hint(name) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("family = 3", None),
        ("[family.x]\n", "family.x.sizes: it has to be a table"),
        ("[family.x.sizes]\na = 1\n", "family.x.sizes.a: it has to be a table"),
        ("[family.x.sizes.a]\n", "needs a repository or a url"),
        ("[family.x.sizes.a]\nrepository = '../..'\n", "names no repository"),
        ("[family.x.sizes.a]\nrepository = 'o/r'\nurl = 'https://h/x.gguf'\n", "and not both"),
        ("[family.x.sizes.a]\nurl = 'http://h/x.gguf'\n", "can be changed on the way"),
        ("[family.x.sizes.a]\nrepository = 'o/r'\ncontext = -1\n", "cannot be its value"),
        ("[family.x.sizes.a]\nrepository = 'o/r'\ntitle = \"a\\u001bb\"\n", "cannot be its value"),
        ("[family.X.sizes.a]\nrepository = 'o/r'\n", "cannot name a model"),
        ("[family", "catalogue.toml"),
        ("version = 2", "reads version 1"),
    ],
)
def test_a_catalogue_of_ones_own_that_is_wrong(tmp_path: Path, text: str, said: str | None) -> None:
    own = tmp_path / "catalogue.toml"
    own.write_text(text)
    if said is None:
        assert len(list(Catalogue.read(own))) >= 48
        return
    with pytest.raises(ConfigError, match=said) as caught:
        Catalogue.read(own)
    assert caught.value.file == str(own)


def test_ones_own_goes_first(tmp_path: Path) -> None:
    own = tmp_path / "catalogue.toml"
    own.write_text("[family.qwen3.sizes.'0.6b']\nurl = 'https://models.example/q.gguf'\nsha256 = '" + "a" * 64 + "'\n")
    model, _ = Catalogue.read(own).find("qwen3:0.6b")
    assert model.mine
    assert model.source().shown == "https://models.example/q.gguf"
