# SPDX-License-Identifier: GPL-3.0-or-later
"""A conversation as a file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llama_orch.cli.failure import UsageError

if TYPE_CHECKING:
    from llama_orch_utils.types import Message

_HEADS = {"system": "System", "user": "Question", "assistant": "Answer", "tool": "Tool"}


def write(name: str, said: Sequence[Message], system: str | None) -> Path:
    """Write a new file (0600) and return its path. Raises UsageError where there is one, or where none can be."""
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    messages += said
    path = Path(name).expanduser()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(_json(messages) if path.suffix == ".json" else _markdown(messages))
    except FileExistsError as error:
        raise UsageError(f"{path} is there already", hint="/save another name") from error
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", hint="/save another name") from error
    return path


def _json(messages: Sequence[Message]) -> str:
    return json.dumps(messages, ensure_ascii=False, indent=2) + "\n"


def _markdown(messages: Sequence[Message]) -> str:
    return "\n".join(f"## {_HEADS[each['role']]}\n\n{_said(each)}\n" for each in messages)


def _said(message: Message) -> str:
    """The words of a turn, and what it calls."""
    content = message["content"]
    words = [content.strip()] if isinstance(content, str) and content.strip() else []
    calls = [call["function"] for call in message.get("tool_calls", ())]
    return "\n\n".join([*words, *(f"`{each['name']}({each['arguments']})`" for each in calls)])
