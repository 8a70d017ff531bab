# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and notes as they may be: checked once, for the command line and the admin API alike."""

from __future__ import annotations

import re

from llama_orch_utils.errors import BadRequest

MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+@-]{0,199}")
_LONGEST_NAME = 100
_LONGEST_NOTE = 1000
_MOST = 2**53
_IDENTITY = re.compile(r"[A-Za-z0-9._:@/+-]{1,200}")


def label(what: str, text: str) -> str:
    """A name for people. Raises BadRequest for an empty one, a long one, and one with control characters."""
    name = text.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise BadRequest(f"{what} is named by 1 to {_LONGEST_NAME} printable characters", param="/name")
    return name


def note_text(text: str) -> str:
    """A note. Raises BadRequest for a long one, and one with control characters."""
    if len(text) > _LONGEST_NOTE or any(not each.isprintable() and each not in "\n\t" for each in text):
        raise BadRequest(f"a note has at most {_LONGEST_NOTE} printable characters", param="/note")
    return text


def reason_text(text: str) -> str:
    """A reason, which must be given."""
    if not text.strip():
        raise BadRequest("a correction needs a reason", param="/reason", hint="--reason 'why'")
    return note_text(text.strip())


def chosen_id(text: str | None) -> str | None:
    """An idempotency id that the caller made up. Raises BadRequest for one that cannot be."""
    if text is not None and not _IDENTITY.fullmatch(text):
        raise BadRequest("an id has 1 to 200 letters, digits and . _ : @ / + -", param="/id")
    return text


def model_name(text: str) -> str:
    """A model's name, or `*`. Raises BadRequest."""
    if text != "*" and not MODEL.fullmatch(text):
        raise BadRequest(
            "a model's name has letters, digits and . _ : / + @ -, or is '*' for every other", param="/model"
        )
    return text


def amount_of(what: str, value: int, *, least: int = 1) -> int:
    """Micro-euros within what a database holds. Raises BadRequest."""
    if not least <= value <= _MOST:
        raise BadRequest(f"{what} must be from {least} to {_MOST} micro-euros, not {value}", param="/amount")
    return value
