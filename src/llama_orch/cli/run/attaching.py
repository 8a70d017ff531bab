# SPDX-License-Identifier: GPL-3.0-or-later
"""`-a`: files, addresses and standard input beside the question."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from llama_orch.cli.failure import UsageError

if TYPE_CHECKING:
    from llama_orch.cli.run.connection import Connection
    from llama_orch_utils.files.attachment import Attachment
    from llama_orch_utils.types import Message


def read(given: Iterable[str]) -> list[Attachment]:
    """The attachments, in order. Raises UsageError, BadRequest."""
    from llama_orch_utils.files.attachment import Attachment

    words = list(given)
    if words.count("-") > 1:
        raise UsageError(
            "-a - is given twice, and there is one standard input", hint="orch run -a - 'What is this?' < FILE"
        )
    found: list[Attachment] = []
    for word in words:
        if word == "-":
            found.append(Attachment("stdin", _stdin()))
        elif word.lower().startswith(("http://", "https://")):
            found.append(Attachment.fetch(word))
        else:
            found.append(Attachment.read(word))
    return found


def check(attachments: Sequence[Attachment], connection: Connection) -> None:
    """Raises UnsupportedByTarget for an image that the model cannot see."""
    if not any(each.is_image for each in attachments):
        return
    from llama_orch_utils.files.message import check_sight

    models = connection.client.models()
    name = connection.model or (models[0].id if len(models) == 1 else "")
    entry = next((each for each in models if each.id == name), models[0] if connection.local and models else None)
    check_sight(attachments, entry, name, connection.target)


def question(text: str, attachments: Sequence[Attachment]) -> Message:
    """The user's turn."""
    if not attachments:
        return {"role": "user", "content": text}
    from llama_orch_utils.files.message import message

    return message(text, attachments)


def logged(text: str, attachments: Sequence[Attachment]) -> str:
    """The turn as the log keeps it: texts whole, images by name."""
    texts = [each.text for each in attachments if not each.is_image]
    images = [f"[{each.name}, {each.kind}]" for each in attachments if each.is_image]
    return "\n\n".join(part for part in (*texts, text, *images) if part)


def _stdin() -> bytes:
    from llama_orch_utils.files.attachment import MOST_IMAGE_BYTES

    if sys.stdin is None or sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison] - closed by `<&-`
        raise UsageError("-a - needs something on standard input", hint="orch run -a - 'What is this?' < FILE")
    return sys.stdin.buffer.read(MOST_IMAGE_BYTES + 1)
