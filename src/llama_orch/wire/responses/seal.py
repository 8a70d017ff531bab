# SPDX-License-Identifier: GPL-3.0-or-later
"""A model's thoughts as an opaque string, which a client that keeps nothing else carries back to us.

The API calls it `encrypted_content`. Ours is no secret from the client, who may read the same thoughts in the open
beside it, so it is only packed: a mark, and the text in base64 (RFC 4648).
"""

from __future__ import annotations

import base64
import binascii

MARK = "orch-thoughts-1:"
PATTERN = "^orch-thoughts-1:([A-Za-z0-9+/]{4})*$"
"""Enough for a JSON Schema: packed thoughts without padding."""


def seal(text: str) -> str:
    """The thoughts, packed."""
    return MARK + base64.b64encode(text.encode("utf-8", "replace")).decode()


def unseal(packed: str) -> str | None:
    """The thoughts in what `seal` gave; None for anything else, such as another provider's ciphertext."""
    if not packed.startswith(MARK):
        return None
    try:
        return base64.b64decode(packed[len(MARK) :], validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return None
