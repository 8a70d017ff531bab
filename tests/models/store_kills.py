# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills a change of the store with SIGKILL at each file operation that it makes, one after the other.

`store_kills.py FOLDER OPERATION`: a fresh store each time, a forked child that ends itself at its Nth operation, then
the questions that a user would ask. Prints how many operations there were; ends with an AssertionError where the store
is broken.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
from pathlib import Path

from gguf_writing import write_metadata

from llama_orch.models import HeldFile, Store

_EVENTS = ("open", "os.", "shutil.", "tempfile.", "fcntl.")
SOURCE = "hf://owner/repo@{commit}/file.gguf"


def fetched(store: Store, words: list[str]) -> list[HeldFile]:
    """The files of a model as `orch pull` hands them over; what the store holds already is not fetched again."""
    files: list[HeldFile] = []
    store.downloads.mkdir(parents=True, exist_ok=True)
    for number, word in enumerate(words, 1):
        path = write_metadata(store.downloads / f"{word}.part", {"general.architecture": "llama", "general.name": word})
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        size = path.stat().st_size
        held = store.holding(digest)
        if held is not None:
            path.unlink()
        files.append(HeldFile(held or path, size, digest, "weights", number, owned=True))
    return files


def prepare(store: Store) -> None:
    store.install("kept", fetched(store, ["shared"]), source="hf://other/other@1/x.gguf")
    store.install("changing", fetched(store, ["a", "b", "shared"]), source=SOURCE.format(commit=1))
    mine = write_metadata(store.folder.parent / "mine.gguf", {"general.architecture": "llama"})
    store.link(mine, "mine")
    gone = write_metadata(store.folder.parent / "gone.gguf", {"general.architecture": "bert"})
    store.link(gone, "gone")
    gone.unlink()


def change(store: Store, operation: str) -> None:
    if operation == "install":
        store.install("new", fetched(store, ["x", "y", "shared"]), source="hf://new/new@1/x.gguf")
    elif operation == "update":
        store.install("changing", fetched(store, ["c", "b", "shared"]), source=SOURCE.format(commit=2))
    elif operation == "link":
        store.link(store.folder.parent / "mine.gguf", "again")
    elif operation == "prune":
        store.prune()
    elif store.knows("changing"):
        store.remove("changing")


def ask(store: Store, operation: str) -> None:
    """After the kill: all that is listed works, a second try ends well, and nothing is left over then."""
    for model in store.list():
        if model.id != "gone":
            store.show(model.id)
    assert {each.state for each in store.verify() if each.id != "gone"} == {"ok"}
    assert store.knows("kept")
    assert store.knows("mine")
    change(store, operation)
    assert {each.state for each in store.verify() if each.id != "gone"} == {"ok"}
    assert (store.folder.parent / "mine.gguf").exists()
    store.prune()
    used = {file.digest for model in store.list() for file in model.files if file.owned}
    assert used == set(store.blobs.digests())
    assert not list(store.downloads.iterdir())
    assert store.prune() == []


def die_at(number: int) -> None:
    """This process ends itself at its `number`th file operation, before it happens."""
    count = 0

    def watch(event: str, _: object) -> None:
        nonlocal count
        count += event.startswith(_EVENTS)
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def main(folder: Path, operation: str) -> int:
    for number in range(1, 1000):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        store = Store(folder)
        prepare(store)
        child = os.fork()
        if child == 0:
            die_at(number)
            change(Store(folder), operation)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or status == 0
        ask(Store(folder), operation)
        if not os.WIFSIGNALED(status):
            return number
    raise AssertionError("it never ended")


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), sys.argv[2]))
