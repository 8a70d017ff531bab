# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that remembers which names stand for which GGUF files: JSON, replaced as a whole under a lock."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llama_orch_utils.errors import ConfigError

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Link:
    """A name's file as it was when it was linked: absolute path, bytes, SHA-256 in hex, ISO 8601 UTC."""

    path: str
    size: int
    digest: str
    linked_at: str


class Links:
    """The index in `folder`/links.json. Reads need no lock: the file is only ever replaced by a rename."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "links.json"

    def read(self) -> dict[str, Link]:
        """All links by name. Raises ConfigError for a file that is not ours or not JSON."""
        try:
            document = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise self._unusable(str(error)) from error
        return self._parsed(document)

    @contextmanager
    def changed(self) -> Generator[dict[str, Link]]:
        """The links, to be changed in place; written when the block ends well."""
        with self._locked():
            links = self.read()
            yield links
            self._write(links)

    def _parsed(self, document: Any) -> dict[str, Link]:
        try:
            if document["version"] != _VERSION:
                raise self._unusable(f"its version is {document['version']!r}, this program knows {_VERSION}")
            return {str(name): Link(**entry) for name, entry in document["models"].items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise self._unusable(f"{type(error).__name__}: {error}") from error

    def _write(self, links: dict[str, Link]) -> None:
        document = {"version": _VERSION, "models": {name: asdict(link) for name, link in sorted(links.items())}}
        handle, partial = tempfile.mkstemp(dir=self._folder, prefix=".links-")
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(document, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            Path(partial).replace(self._file)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise

    @contextmanager
    def _locked(self) -> Generator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / "links.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise ConfigError(
                f"cannot write the model index in {self._folder}: {error.strerror}",
                file=str(self._file),
                hint="orch doctor shows which folders cannot be written",
            ) from error

    def _unusable(self, why: str) -> ConfigError:
        return ConfigError(
            f"the model index {self._file} cannot be used: {why}",
            file=str(self._file),
            hint=f"move {self._file} away and link the models again",
        )
