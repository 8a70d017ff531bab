# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of thinking blocks: clients send them back as they came, and want one that is not empty.

Nothing is verified by them: a thought here is worth as much as any text of the history. With `display: omitted` the
client does not get the thought, so the signature carries it to the next request.
"""

from __future__ import annotations

import base64
import hashlib

_SEEN = "orch-seen-"
_HELD = "orch-held-"


def sign(thought: str, *, omitted: bool) -> str:
    """The signature of a thought that the client sees, or that it does not."""
    data = thought.encode("utf-8", "replace")
    if omitted:
        return _HELD + base64.urlsafe_b64encode(data).decode()
    return _SEEN + hashlib.sha256(data).hexdigest()[:32]


def recall(signature: str) -> str:
    """The thought that a signature carries; empty where it carries none."""
    if not signature.startswith(_HELD):
        return ""
    try:
        return base64.urlsafe_b64decode(signature.removeprefix(_HELD)).decode("utf-8")
    except ValueError:
        return ""  # cut or edited on the way: a signature is no part of the conversation
