# SPDX-License-Identifier: GPL-3.0-or-later
"""LM Studio's models: `HOME/models/PUBLISHER/REPOSITORY/FILE.gguf`.

Its home is what `~/.lmstudio-home-pointer` says, else `~/.lmstudio`, of old `~/.cache/lm-studio`; `downloadsFolder` in
the home's `settings.json` names another folder of models. Source: https://lmstudio.ai/docs/app/advanced/import-model
and LM Studio's own `lms` (lmstudio-ai/lms, `findLMStudioHome`).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from llama_orch.models.found.folder import bundles
from llama_orch.models.found.found_model import FoundModel, Gathered
from llama_orch.models.found.reading import start_of
from llama_orch.models.names import name_from
from llama_orch.models.presence import is_folder

APP = "lm-studio"
_MOST_BYTES = 1 << 20


def gather(found: Gathered) -> None:
    """Adds LM Studio's models."""
    seen: set[str] = set()
    for root in _roots():
        real = os.path.realpath(root)
        if not is_folder(root) or real in seen:
            continue
        seen.add(real)
        for bundle in bundles(root, lambda folder, error: found.cannot(APP, folder, error)):
            first = bundle.weights[0]
            label = str(first.relative_to(root))
            found.models.append(
                FoundModel(name_from(first), APP, label, bundle.weights, bundle.projector, bundle.size, bundle.problem)
            )


def _roots() -> list[Path]:
    home = Path.home()
    pointer = _text(home / ".lmstudio-home-pointer").strip()
    homes = [Path(pointer).expanduser()] if pointer else []
    homes += [home / ".lmstudio", home / ".cache" / "lm-studio"]
    chosen = [folder for folder in (_chosen(each) for each in homes) if folder is not None]
    return [*chosen, *(each / "models" for each in homes)]


def _chosen(home: Path) -> Path | None:
    """The folder that the user chose in LM Studio."""
    try:
        settings: Any = json.loads(_text(home / "settings.json") or "{}")
        folder = settings.get("downloadsFolder")
    except (ValueError, AttributeError, RecursionError):
        return None
    usable = isinstance(folder, str) and folder and "\0" not in folder
    return Path(folder).expanduser() if usable else None


def _text(path: Path) -> str:
    try:
        return start_of(path, _MOST_BYTES).decode(errors="replace").replace("\0", "")
    except OSError:
        return ""
