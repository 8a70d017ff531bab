# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that huggingface_hub has already on this machine.

Its layout (https://huggingface.co/docs/huggingface_hub/guides/manage-cache): `models--OWNER--NAME/refs/main` holds a
commit, `snapshots/COMMIT/FILE` is a link to `blobs/ETAG`, and for a large file the ETag is its SHA-256.
"""

from __future__ import annotations

import re
from pathlib import Path

from llama_orch.models.hub.repository import HubFile, Repository
from llama_orch.models.hub.settings import HubSettings

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def cached_file(settings: HubSettings, repository: Repository, file: HubFile) -> Path | None:
    """The file of that commit in the cache, if it has the right size; its digest is not checked here."""
    path = _folder(settings, repository.id) / "snapshots" / repository.commit / file.path
    return path.resolve() if path.is_file() and path.stat().st_size == file.size else None


def cached_repository(settings: HubSettings, name: str, revision: str | None) -> Repository | None:
    """What the cache knows of a repository without asking the hub; None if nothing."""
    folder = _folder(settings, name)
    commit = _commit(folder, revision or "main")
    if commit is None:
        return None
    snapshot = folder / "snapshots" / commit
    files = tuple(
        HubFile(path.relative_to(snapshot).as_posix(), path.stat().st_size, path.resolve().name, None)
        for path in sorted(snapshot.rglob("*.gguf"))
        if path.is_file() and _SHA256.fullmatch(path.resolve().name)
    )
    return Repository(name, commit, None, gated=False, files=files) if files else None


def _commit(folder: Path, revision: str) -> str | None:
    if _COMMIT.fullmatch(revision):
        return revision
    try:
        commit = (folder / "refs" / revision).read_text().strip()
    except (OSError, ValueError):
        return None  # never fetched
    return commit if _COMMIT.fullmatch(commit) else None


def _folder(settings: HubSettings, repository: str) -> Path:
    return settings.cache / f"models--{repository.replace('/', '--')}"
