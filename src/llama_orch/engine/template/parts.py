# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of models that see often read a message's content as a list of parts, and lose a text that is a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llama_orch_utils.errors import OrchError

_WORD = "Hello"
Render = Callable[[Sequence[Mapping[str, Any]]], str]


def wants_parts(render: Render) -> bool:
    """Whether a text that is given as a part comes out, and as a text does not."""
    trial = ({"role": "user", "content": _WORD},)
    return not _says(render, trial) and _says(render, as_parts(trial))


def as_parts(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The messages with their texts as parts: `[{"type": "text", "text": …}]`."""
    return [
        {**message, "content": [{"type": "text", "text": message["content"]}]}
        if isinstance(message.get("content"), str)
        else message
        for message in messages
    ]


def _says(render: Render, messages: Sequence[Mapping[str, Any]]) -> bool:
    try:
        return _WORD in render(messages)
    except OrchError:
        return False
