# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch models` and the words `ls`, `show`, `rm`."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from llama_orch.cli.models.command import LINK, LS, SHOW

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
Told = Callable[["subprocess.CompletedProcess[bytes]"], str]


@pytest.fixture
def gguf(tiny_gguf: Path, tmp_path: Path) -> Path:
    """A model file of the test's own."""
    return Path(shutil.copy(tiny_gguf, tmp_path / "My Model-Q8.gguf"))


def test_a_file_is_linked_shown_and_forgotten(run_orch: Orch, gguf: Path, orch_home: Path) -> None:
    linked = run_orch("models", "link", str(gguf), "-n", "mine:small", "--json")
    assert linked.returncode == 0, linked.stderr
    row = json.loads(linked.stdout)
    assert set(row) == set(LINK.prints)
    assert row["digest"] == hashlib.sha256(gguf.read_bytes()).hexdigest()
    assert row["path"] == str(gguf)
    assert sum(each.stat().st_size for each in orch_home.rglob("*") if each.is_file()) < 10_000  # nothing was copied
    assert [each["id"] for each in json.loads(run_orch("ls", "--json").stdout)] == ["orch-demo", "mine:small"]
    assert run_orch("models", "ls", "-q").stdout == b"orch-demo\nmine:small\n"
    shown = json.loads(run_orch("show", "mine:small", "--json").stdout)
    assert set(shown) == set(SHOW.prints)
    assert (shown["architecture"], shown["context"], shown["vocabulary"]) == ("llama", 4096, 512)
    removed = run_orch("rm", "mine:small")
    assert (removed.returncode, removed.stdout) == (0, b"")
    assert b"the file stays" in removed.stderr
    assert gguf.exists()
    assert run_orch("ls", "-q").stdout == b"orch-demo\n"


def test_the_listing_has_its_documented_keys(run_orch: Orch) -> None:
    assert [set(each) for each in json.loads(run_orch("ls", "--json").stdout)] == [set(LS.prints)]


def test_a_name_is_made_from_the_file(run_orch: Orch, gguf: Path) -> None:
    assert run_orch("models", "link", str(gguf), "-q").stdout == b"my-model-q8\n"


def test_bad_input(run_orch: Orch, gguf: Path, tmp_path: Path, told: Told, snapshot: SnapshotAssertion) -> None:
    (tmp_path / "empty.gguf").touch()
    (tmp_path / "text.gguf").write_text("no model at all")
    (tmp_path / "cut.gguf").write_bytes(gguf.read_bytes()[:2000])
    (tmp_path / "folder.gguf").mkdir()
    assert run_orch("models", "link", str(gguf), "-n", "mine").returncode == 0
    lines = [
        ["show", "orch-dmo"],
        ["show", "nothing-like-it"],
        ["rm", "mina"],
        ["rm", "orch-demo"],
        ["rm"],
        ["models", "link", str(tmp_path / "gone.gguf")],
        ["models", "link", str(tmp_path / "empty.gguf")],
        ["models", "link", str(tmp_path / "text.gguf")],
        ["models", "link", str(tmp_path / "cut.gguf")],
        ["models", "link", str(tmp_path / "folder.gguf")],
        ["models", "link", str(gguf), "-n", "No Name!"],
        ["models", "link", str(gguf), "-n", "orch-demo"],
        ["models", "link", "\0"[:0]],
    ]
    for line in lines:
        done = run_orch(*line)
        assert b"Traceback" not in done.stderr
        assert told(done) == snapshot(name=" ".join(line).replace(str(tmp_path), "TMP"))


def test_a_file_that_changed_is_refused(run_orch: Orch, gguf: Path) -> None:
    assert run_orch("models", "link", str(gguf), "-n", "mine").returncode == 0
    with gguf.open("ab") as file:
        file.write(b"more")
    done = run_orch("show", "mine")
    assert done.returncode == 3
    assert b"changed since it was linked" in done.stderr
    gguf.unlink()
    done = run_orch("show", "mine")
    assert done.returncode == 3
    assert b"hint: " in done.stderr
    assert json.loads(run_orch("ls", "--json").stdout)[1]["present"] is False


def test_no_permission(run_orch: Orch, gguf: Path, orch_home: Path) -> None:
    (orch_home / "data").write_text("a file where the directory should be")  # refuses the superuser as well
    done = run_orch("models", "link", str(gguf))
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: ")
    assert b"Not a directory" in done.stderr
    assert b"\n\nhint: " in done.stderr


def test_a_full_disk(orch_home: Path, gguf: Path) -> None:
    import sys

    command = [sys.executable, "-m", "llama_orch.cli", "models", "link", str(gguf)]
    # The limit on the size of files stands for the full disk: the write fails in the same place.
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 0; exec "$@"', "bash", *command], capture_output=True, check=False, env={**os.environ}
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: ")
    assert b"hint: " in done.stderr
    assert b"Traceback" not in done.stderr
