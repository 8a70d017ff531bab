# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that remembers which names stand for which GGUF files: JSON, replaced as a whole under a lock.

Version 2; version 1 (one linked file for each name) is read, and written as version 2 with the next change.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llama_orch.models.entry import Entry, document_of, entry_of, entry_of_version_1
from llama_orch_utils.errors import ConfigError

_VERSION = 2
PARTIAL = ".links-"
"""How the names of unfinished indexes begin."""


class Links:
    """The index in `folder`/links.json. Reads need no lock: the file is only ever replaced by a rename."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "links.json"

    def read(self) -> dict[str, Entry]:
        """All entries by name. Raises ConfigError for a file that is not ours or not JSON."""
        try:
            document = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise self._unusable(str(error)) from error
        return self._parsed(document)

    @contextmanager
    def changed(self) -> Generator[dict[str, Entry]]:
        """The entries, to be changed in place; written when the block ends well."""
        with self.locked():
            links = self.read()
            before = dict(links)
            yield links
            if links != before:
                self.write(links)

    @contextmanager
    def locked(self) -> Generator[None]:
        """Nobody else changes the store meanwhile."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / "links.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise ConfigError(
                f"cannot write the model store in {self._folder}: {error.strerror}",
                file=str(self._file),
                hint=f"make room: df -h {self._folder}"
                if full
                else "orch doctor shows which folders cannot be written",
            ) from error

    def _parsed(self, document: Any) -> dict[str, Entry]:
        try:
            version = document["version"]
            if version not in (1, _VERSION):
                raise self._unusable(f"its version is {version!r}, this program knows {_VERSION}")
            models = document["models"].items()
            if version == 1:
                return {str(name): entry_of_version_1(entry) for name, entry in models}
            return {str(name): entry_of(entry, self._folder) for name, entry in models}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._unusable(f"{type(error).__name__}: {error}") from error

    def write(self, links: dict[str, Entry]) -> None:
        """Replaces the index as a whole. Whoever calls it holds the lock."""
        document = {"version": _VERSION, "models": {name: document_of(entry) for name, entry in sorted(links.items())}}
        import tempfile

        handle, partial = tempfile.mkstemp(dir=self._folder, prefix=PARTIAL)
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(document, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            Path(partial).replace(self._file)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise

    def _unusable(self, why: str) -> ConfigError:
        return ConfigError(
            f"the model index {self._file} cannot be used: {why}",
            file=str(self._file),
            hint=f"move {self._file} away and link the models again",
        )
