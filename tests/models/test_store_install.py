# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the store owns: installed whole or not at all, kept once, deleted when nothing uses them."""

import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from gguf_writing import write_metadata, write_projector, write_split

from llama_orch.models import HeldFile, Store
from llama_orch_utils.errors import BadRequest, EngineFailed, ModelNotFound

SOURCE = "hf://owner/repo@c0ffee/file.gguf"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data")


def fetched(store: Store, source: Path, role: str = "weights", part: int = 1) -> HeldFile:
    """A finished download."""
    store.downloads.mkdir(parents=True, exist_ok=True)
    path = Path(shutil.copy(source, store.downloads / f"{source.stem}.part"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return HeldFile(path, path.stat().st_size, digest, role, part, owned=True)  # type: ignore[arg-type]


def blobs(store: Store) -> list[str]:
    return [path.name for path in sorted((store.folder / "blobs").iterdir())]


def test_a_download_is_moved_in_and_used(store: Store, tiny_gguf: Path) -> None:
    file = fetched(store, tiny_gguf)
    model = store.install("qwen3:0.6b", [file], source=SOURCE, licence="apache-2.0")
    assert not file.path.exists()
    assert (model.owned, model.source, model.licence, model.digest) == (True, SOURCE, "apache-2.0", file.digest)
    found = store.resolve("qwen3:0.6b")
    assert found == model
    assert found.path.read_bytes() == tiny_gguf.read_bytes()
    assert found.parts == (found.path,)
    assert store.holding(file.digest) == found.path
    assert store.show("qwen3:0.6b").licence == "apache-2.0"


def test_the_same_digest_is_stored_once(store: Store, tiny_gguf: Path) -> None:
    store.install("one", [fetched(store, tiny_gguf)], source=SOURCE)
    again = fetched(store, tiny_gguf)
    store.install("two", [again], source="https://host.example/x.gguf")
    assert not again.path.exists()
    assert len(blobs(store)) == 1
    assert store.remove("one").deleted == ()
    assert store.resolve("two").path.exists()
    (deleted,) = store.remove("two").deleted
    assert deleted.size == tiny_gguf.stat().st_size
    assert blobs(store) == []


def test_what_is_linked_serves_a_pull_and_is_never_deleted(store: Store, tiny_gguf: Path) -> None:
    store.link(tiny_gguf, "mine")
    digest = hashlib.sha256(tiny_gguf.read_bytes()).hexdigest()
    held = store.holding(digest)
    assert held == tiny_gguf
    store.install("pulled", [HeldFile(held, held.stat().st_size, digest)], source=SOURCE)
    assert store.resolve("pulled").path == tiny_gguf
    assert store.remove("mine").deleted == ()
    assert store.remove("pulled").deleted == ()
    assert tiny_gguf.exists()


def test_a_link_to_an_owned_file_does_not_outlive_it_and_does_not_lose_it(store: Store, tiny_gguf: Path) -> None:
    model = store.install("pulled", [fetched(store, tiny_gguf)], source=SOURCE)
    linked = store.link(model.path, "again")
    assert linked.owned
    assert store.remove("pulled").deleted == ()
    assert store.resolve("again").path.exists()
    assert len(store.remove("again").deleted) == 1


def test_a_touched_link_is_not_believed(store: Store, tiny_gguf: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(tiny_gguf, tmp_path / "x.gguf"))
    digest = store.link(file, "x").digest or ""
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(1, 1))
    assert store.holding(digest) is None


def test_an_update_replaces_and_another_source_does_not(store: Store, tiny_gguf: Path, demo_gguf: Path) -> None:
    store.install("m", [fetched(store, tiny_gguf)], source="hf://o/r@1/x.gguf")
    store.check_installable("m", "hf://o/r@2/x.gguf")
    store.install("m", [fetched(store, demo_gguf)], source="hf://o/r@2/x.gguf")
    assert len(blobs(store)) == 1
    assert store.resolve("m").path.read_bytes() == demo_gguf.read_bytes()
    with pytest.raises(BadRequest, match="already stands for"):
        store.check_installable("m", "hf://o/other@2/x.gguf")
    late = fetched(store, tiny_gguf)
    with pytest.raises(BadRequest, match="already stands for"):
        store.install("m", [late], source="https://host.example/x.gguf")
    assert late.path.exists()
    store.link(tiny_gguf, "mine")
    with pytest.raises(BadRequest, match="already stands for"):
        store.check_installable("mine", SOURCE)


@pytest.mark.parametrize("name", ["../up", "a/b", "", "A", "orch-demo", "x" * 97, "a\x1b[2J"])
def test_names_that_may_not_be_installed(store: Store, tiny_gguf: Path, name: str) -> None:
    file = fetched(store, tiny_gguf)
    for act in (lambda: store.check_installable(name, SOURCE), lambda: store.install(name, [file], source=SOURCE)):
        with pytest.raises(BadRequest):
            act()
    assert file.path.exists()
    assert not (store.folder / "blobs").exists()


def test_nothing_half_installed(store: Store, tiny_gguf: Path, tmp_path: Path) -> None:
    good = fetched(store, tiny_gguf)
    for bad, error in [
        (HeldFile(tmp_path / "gone.part", 3, "a" * 64, "weights", 2, owned=True), EngineFailed),
        (HeldFile(good.path, good.size + 1, good.digest, owned=True), EngineFailed),
        (HeldFile(Path(shutil.copy(__file__, store.downloads / "t.part")), 1, "b" * 64, owned=True), EngineFailed),
    ]:
        with pytest.raises(error):
            store.install("x", [good, bad] if bad.part == 2 else [bad], source=SOURCE)
    link = store.downloads / "link.part"
    link.symlink_to(tiny_gguf)
    with pytest.raises(BadRequest, match="symbolic link"):
        store.install("x", [HeldFile(link, good.size, good.digest, owned=True)], source=SOURCE)
    assert not store.knows("x")
    assert tiny_gguf.exists()


def test_a_file_from_another_disk_is_copied(store: Store, tiny_gguf: Path, tmp_path: Path) -> None:
    memory = Path("/dev/shm")  # another file system on Linux; elsewhere one rename does it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        path = Path(shutil.copy(tiny_gguf, folder))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        store.install("far", [HeldFile(path, path.stat().st_size, digest, owned=True)], source=SOURCE)
        assert not path.exists()
    assert {each.state for each in store.verify()} == {"ok"}
    assert len(blobs(store)) == 1


def test_a_split_model_with_a_projector(store: Store, tiny_gguf: Path, tmp_path: Path) -> None:
    parts = write_split(tiny_gguf, tmp_path / "split", "big")
    eye = write_projector(tmp_path / "mmproj.gguf")
    files = [fetched(store, path, part=number) for number, path in enumerate(parts, 1)]
    files.append(fetched(store, eye, "projector"))
    model = store.install("big:q8_0", list(reversed(files)), source=SOURCE)
    assert len(model.parts) == len(parts) > 1
    assert model.size == sum(path.stat().st_size for path in [*parts, eye])
    assert model.projector is not None
    assert model.projector.read_bytes() == eye.read_bytes()
    assert [path.name for path in sorted(model.path.parent.iterdir())] == [
        f"model-{number:05d}-of-{len(parts):05d}.gguf" for number in range(1, len(parts) + 1)
    ]
    details = store.show("big:q8_0")
    assert details.parameters == store.show(str(tiny_gguf)).parameters
    assert "vision" in details.capabilities
    shutil.rmtree(store.folder / "sets")  # a backup that left links out
    assert store.resolve("big:q8_0").path.exists()
    moved = Store(Path(shutil.move(store.folder.parent, tmp_path / "moved")))
    assert moved.resolve("big:q8_0").path.resolve().is_file()
    assert len(moved.remove("big:q8_0").deleted) == len(files)
    assert not any((moved.folder / "sets").iterdir())


def test_parts_of_two_owners_lie_side_by_side(store: Store, tiny_gguf: Path, tmp_path: Path) -> None:
    parts = write_split(tiny_gguf, tmp_path / "split", "big")
    theirs = parts[0].rename(tmp_path / "cached-blob")
    first = HeldFile(theirs, theirs.stat().st_size, hashlib.sha256(theirs.read_bytes()).hexdigest())
    others = [fetched(store, path, part=number) for number, path in enumerate(parts[1:], 2)]
    model = store.install("mixed", [first, *others], source=SOURCE)
    assert model.path.resolve() == theirs
    store.remove("mixed")
    assert theirs.exists()


@pytest.mark.parametrize("operation", ["install", "update", "link", "rm", "prune"])
def test_a_kill_at_any_moment_leaves_a_store_that_works(operation: str, tmp_path: Path) -> None:
    script = Path(__file__).with_name("store_kills.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "data"), operation], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 8


def _install(data: Path, source: Path, name: str) -> None:
    store = Store(data)
    for number in range(5):
        store.downloads.mkdir(parents=True, exist_ok=True)
        path = Path(shutil.copy(source, store.downloads / f"{name}{number}.part"))
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        store.install(f"{name}{number}", [HeldFile(path, path.stat().st_size, digest, owned=True)], source=SOURCE)
        if number % 2:
            store.remove(f"{name}{number}")


def test_two_processes_that_install_the_same_file_at_once(tmp_path: Path, tiny_gguf: Path) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_install, args=(tmp_path / "data", tiny_gguf, who)) for who in "ab"]
    for each in both:
        each.start()
    for each in both:
        each.join(60)
    store = Store(tmp_path / "data")
    assert [each.exitcode for each in both] == [0, 0]
    assert sorted(model.id for model in store.list())[:-1] == ["a0", "a2", "a4", "b0", "b2", "b4"]
    assert len(blobs(store)) == 1
    assert {each.state for each in store.verify()} == {"ok"}


def test_the_first_index_is_read_and_becomes_the_second(store: Store, tiny_gguf: Path) -> None:
    digest = hashlib.sha256(tiny_gguf.read_bytes()).hexdigest()
    entry = {
        "path": str(tiny_gguf),
        "size": tiny_gguf.stat().st_size,
        "digest": digest,
        "linked_at": "2099-01-02T03:04:05Z",
    }
    store.folder.mkdir(parents=True)
    index = store.folder / "links.json"
    index.write_text(json.dumps({"version": 1, "models": {"old": entry}}))
    old = store.resolve("old")
    assert (old.path, old.digest, old.linked_at, old.owned) == (tiny_gguf, digest, "2099-01-02T03:04:05Z", False)
    assert store.holding(digest) == tiny_gguf
    store.link(tiny_gguf, "new")
    document = json.loads(index.read_text())
    assert document["version"] == 2
    assert store.resolve("old") == old
    store.remove("old")
    assert tiny_gguf.exists()


@pytest.mark.parametrize(
    "entry",
    [
        {"files": []},
        {"files": [{"role": "weights", "part": 1, "size": 1, "digest": "../../etc/passwd", "owned": True}]},
        {"files": [{"role": "weights", "part": 1, "size": -1, "digest": "a" * 64, "path": "x"}]},
        {"files": [{"role": "shell", "part": 1, "size": 1, "digest": "a" * 64, "path": "x"}]},
        {"files": [{"role": "weights", "part": 1, "size": 1, "digest": "a" * 64, "owned": "yes"}]},
        {"files": [{"role": "projector", "part": 1, "size": 1, "digest": "a" * 64, "path": "x"}]},
        {"files": 3},
        [],
        "x",
    ],
)
def test_no_entry_of_the_index_reaches_outside(store: Store, entry: object) -> None:
    from llama_orch_utils.errors import ConfigError

    store.folder.mkdir(parents=True)
    if isinstance(entry, dict):
        entry = {"linked_at": "2026-01-01T00:00:00Z", **entry}
    (store.folder / "links.json").write_text(json.dumps({"version": 2, "models": {"x": entry}}))
    with pytest.raises(ConfigError, match="cannot be used"):
        store.list()


def test_removing_several_is_all_or_nothing(store: Store, tiny_gguf: Path) -> None:
    store.install("one", [fetched(store, tiny_gguf)], source=SOURCE)
    with pytest.raises(ModelNotFound):
        store.remove_all(("one", "unknown"))
    assert store.knows("one")


def test_a_damaged_owned_file_names_the_pull_that_mends_it(store: Store, tmp_path: Path) -> None:
    path = write_metadata(tmp_path / "x.gguf", {"general.architecture": "llama"})
    model = store.install("m", [fetched(store, path)], source="hf://o/r@1/sub/x.gguf")
    model.path.write_bytes(b"short")
    with pytest.raises(EngineFailed) as caught:
        store.resolve("m")
    assert "orch models rm m && orch pull hf://o/r/sub/x.gguf --name m" in (caught.value.hint or "")
    store.install("m", [fetched(store, path)], source="hf://o/r@1/sub/x.gguf")  # and a pull does mend it
    assert store.resolve("m").path.read_bytes() == path.read_bytes()
