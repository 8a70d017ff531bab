# SPDX-License-Identifier: GPL-3.0-or-later
"""Vocabularies with and without the formats' marks as control tokens."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

import marked_model
import pytest

from llama_orch import formats
from llama_orch.engine.vocabulary import Vocabulary


@pytest.fixture(scope="session")
def plain(tiny_gguf: Path) -> Iterator[Vocabulary]:
    vocabulary, free = marked_model.open_vocabulary(tiny_gguf)
    yield vocabulary
    free()


@pytest.fixture(scope="session")
def forms() -> dict[str, formats.Format]:
    """Every format by name, as its recorded template has it."""
    files = (Path(__file__).parent / "cases").glob("*.json")
    return {path.stem: formats.find(json.loads(path.read_text())["template"]) for path in files}


@pytest.fixture(scope="session")
def marked(shared_folder: Path, forms) -> Iterator[Vocabulary]:
    """All marks of all formats are control tokens, but for those that models have as plain text."""
    marks = dict.fromkeys(mark for form in forms.values() for mark in form.shown)
    kept = tuple(mark for mark in marks if not mark.startswith(("<tool_call", "</tool_call", "<function", "<response")))
    path = shared_folder / "marked.gguf"
    with (shared_folder / "marked.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            partial = path.with_suffix(".partial")
            marked_model.write(partial, kept)
            partial.rename(path)
    vocabulary, free = marked_model.open_vocabulary(path)
    yield vocabulary
    free()
