# SPDX-License-Identifier: Apache-2.0
"""The turns of a conversation, as the OpenAI chat API writes them: plain dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NotRequired, TypedDict

Role = Literal["system", "developer", "user", "assistant", "tool"]


class ImageAddress(TypedDict):
    """Where an image is: an address, or the image itself as a `data:` URL (RFC 2397)."""

    url: str


class TextPart(TypedDict):
    """A part of a message that is text."""

    type: Literal["text"]
    text: str


class ImagePart(TypedDict):
    """A part of a message that is an image, for models that see."""

    type: Literal["image_url"]
    image_url: ImageAddress


Part = TextPart | ImagePart


class CalledFunction(TypedDict):
    """Which function a model called; `arguments` is JSON as the model wrote it."""

    name: str
    arguments: str


class CallMessage(TypedDict):
    """A tool call as a message carries it."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class Message(TypedDict):
    """One turn of a conversation, as the OpenAI chat API has it.

    An assistant's turn may hold `tool_calls` (then `content` may be None); each is answered by a turn of the role
    `tool` with the call's id as `tool_call_id`.
    """

    role: Role
    content: str | Sequence[Part] | None
    name: NotRequired[str]
    tool_calls: NotRequired[Sequence[CallMessage]]
    tool_call_id: NotRequired[str]
    reasoning_content: NotRequired[str]
