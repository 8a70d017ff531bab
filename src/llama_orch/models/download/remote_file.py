# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about a file before it is fetched."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from llama_orch.models.download.way import Way
from llama_orch.models.held_file import Role


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a model at a server.

    `name` is for people only and never becomes a path. `size` in bytes and `digest` (SHA-256 in hex) as the server or
    the user states them, None where nobody does; `git_digest` is git's SHA-1 of a file that a hub keeps in git itself.
    `validator` is the strong ETag or the date that tells one version at `way.url` from another (RFC 9110, 8.8).
    """

    name: str
    way: Way
    size: int | None
    digest: str | None
    git_digest: str | None = None
    validator: str | None = None
    role: Role = "weights"
    part: int = 1

    @property
    def key(self) -> str:
        """The name of the unfinished file: the digest, else one of the address. Only hexadecimal digits."""
        return self.digest or hashlib.sha256(f"{self.way.url}\0{self.git_digest or ''}".encode()).hexdigest()[:40]

    @property
    def by_content(self) -> bool:
        """Whether the key says what the bytes must be, whoever sends them."""
        return (self.digest or self.git_digest) is not None
