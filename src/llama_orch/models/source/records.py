# SPDX-License-Identifier: GPL-3.0-or-later
"""The three kinds of places that a model can be fetched from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from llama_orch.models.names import check_name, name_from

_SPLIT = re.compile(r"-\d{5}-of-\d{5}$")
_GGUF = re.compile(r"[-_.]gguf$", re.IGNORECASE)
_LONGEST_TAG = 32


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository (`owner/name`) of the hub: of its files those of `quantisation`, or `file`, at `revision`.

    `pattern` is what the catalogue knows about the names of its files (shell wildcards, `{quant}`), None: not known.
    """

    repository: str
    revision: str | None = None
    quantisation: str | None = None
    file: str | None = None
    pattern: str | None = None

    @property
    def shown(self) -> str:
        """As it is typed."""
        revision = f"@{self.revision}" if self.revision else ""
        choice = f"/{self.file}" if self.file else f":{self.quantisation}" if self.quantisation else ""
        return f"hf://{self.repository}{revision}{choice}"

    @property
    def name(self) -> str:
        """What the model is called here unless the user says otherwise: `qwen3-0.6b:q8_0`."""
        if self.file:
            return _name_of(self.file)
        name = name_from(Path(_GGUF.sub("", self.repository.partition("/")[2]) + ".gguf"))
        tag = re.sub(r"[^a-z0-9._-]+", "-", (self.quantisation or "").lower()).strip("-._")[:_LONGEST_TAG]
        return check_name(f"{name}:{tag}") if tag else name


@dataclass(frozen=True, slots=True)
class UrlSource:
    """One file at an https address; `digest` its SHA-256 in hex, if the user knows it."""

    url: str
    digest: str | None = None

    @property
    def shown(self) -> str:
        """The address without its query, which may be a signature."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"

    @property
    def name(self) -> str:
        """What the model is called here unless the user says otherwise: from the file's name."""
        return _name_of(unquote(urlsplit(self.url).path))


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file of this machine, to be copied into the store."""

    path: Path
    digest: str | None = None

    @property
    def shown(self) -> str:
        """As a file:// address."""
        return self.path.as_uri()

    @property
    def name(self) -> str:
        """What the model is called here unless the user says otherwise: from the file's name."""
        return _name_of(self.path.name)


Source = HubSource | UrlSource | FileSource


def _name_of(file: str) -> str:
    path = PurePosixPath(file)
    return name_from(Path(_SPLIT.sub("", path.stem if path.suffix.lower() == ".gguf" else path.name) + ".gguf"))
