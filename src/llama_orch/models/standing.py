# SPDX-License-Identifier: GPL-3.0-or-later
"""A model as it stands: what its entry says, whether its files are as they were, and what mends them."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from llama_orch.models import names
from llama_orch.models.blobs import Blobs
from llama_orch.models.entry import Entry
from llama_orch.models.held_file import HeldFile
from llama_orch.models.presence import there
from llama_orch.models.stored_model import StoredModel
from llama_orch_utils.errors import EngineFailed


def stored(name: str, entry: Entry, blobs: Blobs) -> StoredModel:
    """The model of an entry; its size is 0 where a file is gone."""
    parts, projector = entry.weights, entry.projector
    complete = all(there(file.path) for file in entry.files)
    return StoredModel(
        name,
        blobs.first(parts),
        sum(file.size for file in entry.files) if complete else 0,
        parts[0].digest,
        linked_at=entry.linked_at,
        parts=tuple(file.path for file in parts),
        projector=projector.path if projector else None,
        source=entry.source,
        licence=entry.licence,
        owned=any(file.owned for file in entry.files),
        files=entry.files,
    )


def unnamed(parts: tuple[Path, ...]) -> StoredModel:
    """A model that is meant by its path. Raises OSError."""
    size = sum(part.stat().st_size for part in parts)
    return StoredModel(names.name_from(parts[0]), parts[0], size, parts=parts)


def check_files(name: str, entry: Entry) -> None:
    """Raises EngineFailed for a file that is gone or has another size. Reads none of them: `verify` does."""
    for file in entry.files:
        _check(name, file, entry)


def _check(name: str, file: HeldFile, entry: Entry) -> None:
    try:
        size = file.path.stat().st_size
    except OSError as error:
        raise EngineFailed(
            f"the file of {name} cannot be reached: {file.path}: {error.strerror}",
            hint=again(name, file, entry) or f"put it back, or forget the name: orch models rm {name}",
            code="model_missing",
        ) from error
    if size != file.size:
        raise EngineFailed(
            f"the file of {name} changed since it was linked ({file.size} bytes then, {size} now): {file.path}",
            hint=again(name, file, entry) or f"link it again: {link_again(name, entry)}",
            code="model_changed",
        )


def again(name: str, file: HeldFile, entry: Entry) -> str | None:
    """The command that fetches an owned file again; None for a linked one."""
    if not file.owned or not entry.source:
        return None
    return f"fetch it again: orch models rm {name} && orch pull {quote(address(entry.source))} --name {name}"


def address(source: str) -> str:
    """What `orch pull` takes of a source: `hf://owner/repo@commit/file` without the commit."""
    owner, at, rest = source.partition("@")
    return f"{owner}/{rest.partition('/')[2]}" if at and source.startswith("hf://") else source


def link_again(name: str, entry: Entry) -> str:
    """The command that links a model anew."""
    projector = f" --projector {quote(str(entry.projector.path))}" if entry.projector else ""
    return f"orch models link {quote(str(entry.weights[0].path))} --name {name}{projector}"
