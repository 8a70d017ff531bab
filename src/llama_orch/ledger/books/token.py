# SPDX-License-Identifier: GPL-3.0-or-later
"""What a key looks like: `sk-orch-ID-SECRET`.

The id finds the key's record, the secret is shown once and kept as its SHA-256: 32 random bytes need no slow hash,
nobody guesses them. Whoever compares digests does it in constant time (`hmac.compare_digest`).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Literal

PREFIX = "sk-orch-"
CLIENT: Literal["k"] = "k"
ADMIN: Literal["a"] = "a"
RUN: Literal["r"] = "r"
"""Of an applet's run: `split` finds nothing in it, only the process that made it takes it."""
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_ID_LETTERS = 15
_SECRET_BYTES = 32
_TOKEN = re.compile(rb"sk-orch-([ka][a-z0-9]{15})-([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A new key: `id` and `digest` are kept, `text` is shown once. Does not print itself."""

    id: str
    text: str
    digest: bytes

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Token({self.id!r})"


def issue(kind: Literal["k", "a", "r"] = CLIENT) -> Token:
    """A new key for a client (k), for the admin API (a), or for an applet's run (r)."""
    identity = kind + "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LETTERS))
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    return Token(identity, f"{PREFIX}{identity}-{secret}", digest(secret.encode()))


def split(text: bytes) -> tuple[str, bytes] | None:
    """The id and the digest of the secret that a request carries; None where it is no key of a tap."""
    found = _TOKEN.fullmatch(text)
    return None if found is None else (found[1].decode(), digest(found[2]))


def digest(secret: bytes) -> bytes:
    """What is kept of a secret: 32 bytes."""
    return hashlib.sha256(secret).digest()
