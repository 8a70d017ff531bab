# SPDX-License-Identifier: GPL-3.0-or-later
"""GGUF models in the cache of huggingface_hub: `models--OWNER--NAME/snapshots/REVISION/FILE.gguf`, links to `blobs/`.

The folder is HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub (with XDG_CACHE_HOME). Source:
https://huggingface.co/docs/huggingface_hub/guides/manage-cache and `huggingface_hub.constants`.
"""

from __future__ import annotations

import os
from pathlib import Path

from llama_orch.models.found.folder import bundles
from llama_orch.models.found.found_model import FoundModel, Gathered
from llama_orch.models.found.reading import start_of
from llama_orch.models.names import name_from

APP = "hugging-face"
_PREFIX = "models--"
_MOST_BYTES = 4096


def gather(found: Gathered) -> None:
    """Adds the GGUF models of the cache: of each file the newest snapshot, `main` before all others."""
    cache = _cache()
    try:
        repositories = sorted(each for each in cache.iterdir() if each.name.startswith(_PREFIX) and each.is_dir())
    except FileNotFoundError:
        return
    except OSError as error:
        found.cannot(APP, cache, error)
        return
    for repository in repositories:
        _of_repository(repository, found)


def _of_repository(repository: Path, found: Gathered) -> None:
    owner_and_name = repository.name.removeprefix(_PREFIX).replace("--", "/", 1)
    seen: set[str] = set()
    for snapshot in _snapshots(repository):
        for bundle in bundles(snapshot, lambda folder, error: found.cannot(APP, folder, error)):
            inside = str(bundle.weights[0].relative_to(snapshot))
            if inside in seen:
                continue
            seen.add(inside)
            label = f"hf://{owner_and_name}/{inside}"
            model = FoundModel(
                name_from(bundle.weights[0]), APP, label, bundle.weights, bundle.projector, bundle.size, bundle.problem
            )
            found.models.append(model)


def _snapshots(repository: Path) -> list[Path]:
    try:
        snapshots = [each for each in (repository / "snapshots").iterdir() if each.is_dir()]
    except OSError:
        return []  # nothing was ever fetched of it
    main = _main(repository / "refs" / "main")
    return sorted(snapshots, key=lambda each: (each.name != main, -_time(each), each.name))


def _main(path: Path) -> str:
    """The revision that `main` is; empty where only others were fetched."""
    try:
        return start_of(path, _MOST_BYTES).decode(errors="replace").strip()
    except OSError:
        return ""


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _cache() -> Path:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if value := os.environ.get(name):
            return _path(value)
    if value := os.environ.get("HF_HOME"):
        return _path(value) / "hub"
    base = os.environ.get("XDG_CACHE_HOME")
    return (_path(base) if base else Path.home() / ".cache") / "huggingface" / "hub"


def _path(text: str) -> Path:
    return Path(os.path.expandvars(text)).expanduser()
