# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model's GGUF says that a fleet has to know before it loads it: how large it gets, and what it can do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llama_orch.models.capabilities import capabilities_of
from llama_orch.models.estimate.shape import Shape, shape_of
from llama_orch.models.gguf_header import read_header
from llama_orch.models.stored_model import StoredModel
from llama_orch_utils.errors import OrchError

_Key = tuple[str, int, int, bool]
"""A weights file as it is on the disk now, and whether a projector belongs to it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Its `shape`, from which the memory is reckoned, and its `capabilities`."""

    shape: Shape
    capabilities: tuple[str, ...]

    @property
    def context_train(self) -> int:
        """Tokens that it was trained on; 0 where the file does not tell."""
        return self.shape.context_train


class Known:
    """What has been read already, by file; a replaced file is read again."""

    def __init__(self) -> None:
        self._facts: dict[_Key, Facts] = {}

    def now(self, stored: StoredModel) -> Facts | None:
        """What is known of a model without reading anything."""
        key = _key(stored)
        return None if key is None else self._facts.get(key)

    async def of(self, stored: StoredModel) -> Facts:
        """What the model's file says, read in a thread where it is not known. Raises EngineFailed as `read` does."""
        key = _key(stored)
        found = None if key is None else self._facts.get(key)
        if found is None:
            found = await asyncio.to_thread(read, stored.path, stored.parts[1:], vision=stored.projector is not None)
            if key is not None:
                self._facts[key] = found
        return found

    async def learn(self, models: list[StoredModel]) -> None:
        """Reads what is not known of `models`; what cannot be read is told by whoever asks for that model."""
        for stored in models:
            try:
                await self.of(stored)
            except OrchError:
                continue


def read(path: Path, parts: Sequence[Path] = (), *, vision: bool = False) -> Facts:
    """Reads the header of the GGUF at `path`, and of further `parts`: slow for large vocabularies, not for a loop.

    Raises EngineFailed as `read_header` does.
    """
    header = read_header(path)
    return Facts(shape_of(header).plus(parts), capabilities_of(header, vision=vision))


def _key(stored: StoredModel) -> _Key | None:
    try:
        found = stored.path.stat()
    except OSError:
        return None
    return str(stored.path), found.st_size, found.st_mtime_ns, stored.projector is not None
