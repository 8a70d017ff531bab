# SPDX-License-Identifier: GPL-3.0-or-later
import hashlib
import json
import multiprocessing
from pathlib import Path

import pytest

from llama_orch.models import DEMO_ID, Store
from llama_orch_utils.errors import BadRequest, ConfigError, EngineFailed, ModelNotFound


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data")


def test_nothing_chosen_means_the_demo(store: Store) -> None:
    assert store.resolve(None).id == DEMO_ID
    assert store.resolve(None).demo


def test_a_link_uses_the_file_in_place_and_records_its_digest(store: Store, tiny_gguf: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    model = store.link(tiny_gguf, "mine", lambda done, total: seen.append((done, total)))
    assert model.digest == hashlib.sha256(tiny_gguf.read_bytes()).hexdigest()
    assert store.resolve("mine").path == tiny_gguf.resolve()
    assert seen[-1] == (model.size, model.size)
    assert sum(file.stat().st_size for file in (tmp_path / "data").rglob("*") if file.is_file()) < 1_000_000


def test_a_name_is_made_from_the_file(store: Store, tiny_gguf: Path, tmp_path: Path) -> None:
    file = tmp_path / "Qwen3 0.6B (Q8_0).gguf"
    file.write_bytes(tiny_gguf.read_bytes())
    assert store.link(file).id == "qwen3-0.6b-q8_0"


def test_linking_the_same_again_is_fine_and_a_taken_name_is_not(store: Store, tiny_gguf: Path, tmp_path: Path) -> None:
    store.link(tiny_gguf, "mine")
    store.link(tiny_gguf, "mine")
    other = tmp_path / "other.gguf"
    other.write_bytes(tiny_gguf.read_bytes())
    with pytest.raises(BadRequest, match="already stands for"):
        store.link(other, "mine")


@pytest.mark.parametrize("name", ["../up", "a/b", "", "-x", "A", "x" * 97, "a:b:c", "orch-demo", "a\n"])
def test_names_that_may_not_be(store: Store, tiny_gguf: Path, name: str) -> None:
    if name:
        with pytest.raises(BadRequest):
            store.link(tiny_gguf, name)
    else:
        assert store.link(tiny_gguf, None).id == "tiny"


def test_an_unknown_name_tells_what_is_near(store: Store, tiny_gguf: Path) -> None:
    store.link(tiny_gguf, "qwen3:0.6b")
    with pytest.raises(ModelNotFound) as caught:
        store.resolve("qwen3:0.6")
    assert caught.value.near_misses[0] == "qwen3:0.6b"
    assert "qwen3:0.6b" in (caught.value.hint or "")


def test_a_path_is_used_as_it_is(store: Store, tiny_gguf: Path) -> None:
    assert store.resolve(str(tiny_gguf)).path == tiny_gguf.resolve()


@pytest.mark.parametrize("name", ["/nowhere/x.gguf", "./missing.gguf", "~nobody-such/x.gguf", "x\x00y.gguf", "/tmp/"])
def test_a_wrong_path_is_told(store: Store, name: str) -> None:
    with pytest.raises(ModelNotFound):
        store.resolve(name)


def test_remove_forgets_and_never_deletes(store: Store, tiny_gguf: Path) -> None:
    store.link(tiny_gguf, "mine")
    store.remove("mine")
    assert tiny_gguf.exists()
    assert [model.id for model in store.list()] == [DEMO_ID]
    with pytest.raises(ModelNotFound):
        store.remove("mine")
    with pytest.raises(BadRequest):
        store.remove(DEMO_ID)


def test_a_file_that_went_or_changed_is_told_with_the_next_command(
    store: Store, tiny_gguf: Path, tmp_path: Path
) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(tiny_gguf.read_bytes())
    store.link(file, "x")
    file.write_bytes(tiny_gguf.read_bytes()[:-32])
    with pytest.raises(EngineFailed, match="changed since it was linked") as changed:
        store.resolve("x")
    assert "orch models link" in (changed.value.hint or "")
    file.unlink()
    with pytest.raises(EngineFailed, match="cannot be reached"):
        store.resolve("x")
    assert [model.size for model in store.list() if model.id == "x"] == [0]


def test_show_tells_the_metadata(store: Store, tiny_gguf: Path) -> None:
    details = store.show(str(tiny_gguf))
    assert (details.architecture, details.layers, details.vocabulary) == ("llama", 2, 512)
    assert (details.context, details.quantisation, details.chat_template) == (4096, "F32", True)
    assert 300_000 < details.parameters < 600_000


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"version": 99, "models": {}}', '{"version": 1, "models": {"a": {"b": 1}}}', '{"version": 1}'],
)
def test_an_unusable_index_is_a_config_error(tmp_path: Path, content: str) -> None:
    index = tmp_path / "data" / "models" / "links.json"
    index.parent.mkdir(parents=True)
    index.write_text(content)
    with pytest.raises(ConfigError) as caught:
        Store(tmp_path / "data").list()
    assert caught.value.file == str(index)


def test_a_folder_that_cannot_be_made_is_a_config_error(tmp_path: Path, tiny_gguf: Path) -> None:
    (tmp_path / "data").write_text("a file in the way")
    with pytest.raises(ConfigError):
        Store(tmp_path / "data").link(tiny_gguf, "x")


def _link_some(data: Path, gguf: Path, prefix: str) -> None:
    for number in range(10):
        Store(data).link(gguf, f"{prefix}{number}")


def test_two_processes_that_link_at_once_lose_nothing(tmp_path: Path, tiny_gguf: Path) -> None:
    context = multiprocessing.get_context("spawn")
    linkers = [context.Process(target=_link_some, args=(tmp_path / "data", tiny_gguf, who)) for who in "ab"]
    for linker in linkers:
        linker.start()
    for linker in linkers:
        linker.join(60)
    assert len(json.loads((tmp_path / "data/models/links.json").read_text())["models"]) == 20
