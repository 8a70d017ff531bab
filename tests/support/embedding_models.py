# SPDX-License-Identifier: GPL-3.0-or-later
"""Small embedding and rank models with random weights, made once for all xdist workers of a run."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

import make_gguf

NAMES = ("embed", "embed-cls", "embed-last", "rank", "rank-decoder")
_MAKERS: dict[str, Callable[[str], None]] = {
    "embed": lambda path: make_gguf.write_embedder(path, 0),
    "embed-cls": lambda path: make_gguf.write_embedder(path, 0, "embed-cls", (64, 32)),
    "embed-last": lambda path: make_gguf.write_decoder(path, "embed-last", "f32", 0),
    "rank": lambda path: make_gguf.write_embedder(path, 0, "rank"),
    "rank-headless": lambda path: make_gguf.write_embedder(path, 0, "rank", head=False),
    "rank-decoder": lambda path: make_gguf.write_decoder(path, "rank-decoder", "f32", 0),
}


def embedding_model(folder: Path, name: str) -> Path:
    """The GGUF `name`; `folder` is the run's shared one. Read-only."""
    path = folder / f"{name}.gguf"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            partial = path.with_suffix(".partial")
            _MAKERS[name](str(partial))
            partial.rename(path)
    return path
