# SPDX-License-Identifier: GPL-3.0-or-later
"""`verify` and `prune`."""

import fcntl
import hashlib
import json
import os
import shlex
import shutil
from pathlib import Path

import pytest
from gguf_writing import write_metadata, write_split
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llama_orch.models import HeldFile, Store
from llama_orch_utils.errors import BadRequest, ConfigError, EngineFailed, ModelNotFound


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data")


@pytest.fixture
def mine(tmp_path: Path, tiny_gguf: Path) -> Path:
    return Path(shutil.copy(tiny_gguf, tmp_path / "mine.gguf"))


def own(store: Store, name: str, word: str) -> Path:
    store.downloads.mkdir(parents=True, exist_ok=True)
    path = write_metadata(store.downloads / "k.part", {"general.architecture": "llama", "general.name": word})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    file = HeldFile(path, path.stat().st_size, digest, owned=True)
    return store.install(name, [file], source="hf://o/r@1/x.gguf").path


def test_verify_tells_every_file(store: Store, mine: Path, tmp_path: Path, tiny_gguf: Path) -> None:
    store.link(mine, "mine")
    store.link(mine, "also")
    parts = write_split(tiny_gguf, tmp_path / "split", "big")
    store.link(parts[0], "big")
    blob = own(store, "owned", "a")
    seen: list[tuple[int, int]] = []
    found = store.verify(progress=lambda done, total: seen.append((done, total)))
    assert [(each.id, each.state) for each in found] == [
        ("also", "ok"), ("big", "ok"), ("big", "ok"), ("mine", "ok"), ("owned", "ok"),
    ]  # fmt: skip
    total = sum(path.stat().st_size for path in [mine, *parts, blob])  # the shared file is read once
    assert seen[-1] == (total, total)
    content = bytearray(mine.read_bytes())
    content[-1] ^= 1
    mine.write_bytes(content)
    parts[1].unlink()
    blob.write_bytes(blob.read_bytes()[::-1])
    bad = {(each.id, each.state): each for each in store.verify() if each.state != "ok"}
    assert set(bad) == {("also", "changed"), ("mine", "changed"), ("big", "missing"), ("owned", "changed")}
    assert "orch models link" in (bad["mine", "changed"].mend or "")
    assert "orch pull hf://o/r/x.gguf" in (bad["owned", "changed"].mend or "")
    assert [each.state for each in store.verify(["big"])] == ["ok", "missing"]


def test_what_was_only_touched_is_believed_again_after_verify(store: Store, mine: Path) -> None:
    digest = store.link(mine, "mine").digest or ""
    os.utime(mine, ns=(7, 7))
    assert store.holding(digest) is None
    assert [each.state for each in store.verify()] == ["ok"]
    assert store.holding(digest) == mine


def test_the_commands_that_mend_can_be_pasted(store: Store, tmp_path: Path, tiny_gguf: Path) -> None:
    odd = Path(shutil.copy(tiny_gguf, tmp_path / "it's a $(model) file.gguf"))
    store.link(odd, "odd")
    odd.write_bytes(odd.read_bytes()[:-1] + b"?")
    (verified,) = store.verify()
    _, _, command = (verified.mend or "").partition(": ")
    assert shlex.split(command.partition(" && ")[2]) == ["orch", "models", "link", str(odd), "--name", "odd"]


def test_verify_refuses_what_it_does_not_know(store: Store) -> None:
    assert store.verify() == []
    with pytest.raises(ModelNotFound):
        store.verify(["nothing"])
    with pytest.raises(BadRequest):
        store.verify(["orch-demo"])


def test_prune_takes_what_nobody_needs_and_nothing_else(store: Store, mine: Path, tmp_path: Path) -> None:
    store.link(mine, "mine")
    gone = write_metadata(tmp_path / "gone.gguf", {"general.architecture": "llama"})
    store.link(gone, "gone")
    gone.unlink()
    kept = own(store, "owned", "a")
    orphan = store.blobs.path("f" * 64)
    orphan.write_bytes(b"x" * 1000)
    (store.folder / ".links-abc").touch()
    (store.folder / "sets" / "odd").mkdir(parents=True)
    for key in ("left", "busy"):
        for suffix in (".part", ".json", ".lock"):
            (store.downloads / f"{key}{suffix}").write_bytes(b"12345")
    with (store.downloads / "busy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = store.prune(dry_run=True)
        assert {(each.kind, each.id) for each in told} == {
            ("download", "left"), ("file", "f" * 64), ("name", "gone"), ("leftover", ".links-abc"), ("leftover", "odd"),
        }  # fmt: skip
        assert orphan.exists()
        assert store.knows("gone")
        assert store.prune() == told
        assert sorted(path.name for path in store.downloads.iterdir()) == ["busy.json", "busy.lock", "busy.part"]
    assert not orphan.exists()
    assert not store.knows("gone")
    assert (kept.exists(), mine.exists()) == (True, True)
    assert [each.id for each in store.prune()] == ["busy"]
    assert store.prune() == []


def test_a_name_without_its_owned_file_goes_and_takes_the_rest_along(store: Store, tmp_path: Path) -> None:
    first, second = own(store, "one", "a"), own(store, "two", "b")
    files = [*store.resolve("one").files, *store.resolve("two").files]
    both = [HeldFile(file.path, file.size, file.digest, part=n, owned=True) for n, file in enumerate(files, 1)]
    store.install("both", both, source="hf://o/q@1/x.gguf")
    store.remove_all(("one", "two"))
    assert first.exists()
    assert second.exists()
    first.unlink()
    assert {(each.kind, each.id) for each in store.prune()} >= {("name", "both"), ("file", files[1].digest)}
    assert not second.exists()


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), version=st.sampled_from([1, 2]))
def test_no_index_does_more_than_a_config_error(store: Store, data: st.DataObject, version: int) -> None:
    file = {"role": "weights", "part": 1, "size": 1, "digest": "a" * 64, "path": "/nowhere", "modified": 1}
    entry = {"files": [file], "linked_at": "2026-01-01T00:00:00Z", "source": None, "licence": None}
    first = {"path": "/nowhere", "size": 1, "digest": "a" * 64, "linked_at": "2026-01-01T00:00:00Z"}
    changed = data.draw(st.sampled_from([file, entry])) if version == 2 else first
    changed[data.draw(st.sampled_from(sorted(changed)))] = data.draw(_ANY)  # type: ignore[assignment]
    models = {"m": entry if version == 2 else first} if data.draw(st.booleans()) else data.draw(_ANY)
    store.folder.mkdir(parents=True, exist_ok=True)
    (store.folder / "links.json").write_text(json.dumps({"version": version, "models": models}))
    try:
        store.list()
        store.verify()
        store.prune(dry_run=True)
        store.resolve("m")
    except (ConfigError, EngineFailed, ModelNotFound):
        return


def test_prune_of_nothing_and_of_a_store_that_cannot_be_written(store: Store, tmp_path: Path) -> None:
    assert store.prune() == []
    (tmp_path / "other").write_text("in the way")
    with pytest.raises(ConfigError):
        Store(tmp_path / "other").prune()
