# SPDX-License-Identifier: GPL-3.0-or-later
"""Files to tune a model with: adapters for it, drafts that can guess for it and that cannot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import make_gguf


@dataclass(frozen=True)
class Files:
    """`model` and what goes with it; `other` has another vocabulary."""

    model: Path
    terse: Path
    formal: Path
    other: Path


def written(folder: Path, model: Path) -> Files:
    """Writes them into `folder`."""
    files = Files(model, folder / "terse.gguf", folder / "formal.gguf", folder / "other.gguf")
    for seed, path in enumerate((files.terse, files.formal), start=1):
        make_gguf.write_lora(str(path), str(model), 8, seed)
    make_gguf.write_decoder(str(files.other), "tiny", "f32", 7)
    return files
