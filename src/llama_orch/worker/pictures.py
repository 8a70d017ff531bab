# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of a conversation: taken out of its turns, with a mark in the text where each stood.

The marks are drawn for each request: nobody can write one into a text.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from llama_orch.wire.generation import Turn
from llama_orch.wire.json_body import Json
from llama_orch_utils.errors import BadRequest, UnsupportedByTarget

if TYPE_CHECKING:
    from llama_orch.engine.engine import Engine
    from llama_orch.engine.vision import Picture

SHOWN = "<__media__>"
"""What stands for an image where a prompt is shown as text (llama.cpp's word)."""


def marked(turns: Sequence[Turn]) -> tuple[tuple[Turn, ...], list[Picture]]:
    """The turns with nothing but text, and the images whose marks stand in it. Raises BadRequest for broken base64."""
    if not any(isinstance(turn["content"], list) for turn in turns):
        return tuple(turns), []
    nonce = secrets.token_hex(8)
    pictures: list[Picture] = []
    return tuple(_turn(turn, nonce, pictures) for turn in turns), pictures


def check(engine: Engine, pictures: Sequence[Picture]) -> None:
    """Raises UnsupportedByTarget for images where the engine has no eyes; with eyes, those look for themselves."""
    if pictures and engine.eyes is None:
        prebuilt = not engine.constrains
        raise UnsupportedByTarget(
            "the prebuilt engine reads text only" if prebuilt else "this model reads text only: it has no projector",
            capability="vision",
            param=pictures[0].where,
            hint="orch engine build" if prebuilt else "ask a model that sees (orch models ls), or describe the image",
        )


def shown(text: str, pictures: Sequence[Picture]) -> str:
    """The text as a person may see it."""
    for picture in pictures:
        text = text.replace(picture.mark, SHOWN)
    return text


def _turn(turn: Turn, nonce: str, pictures: list[Picture]) -> Turn:
    content = turn["content"]
    if not isinstance(content, list):
        return turn
    return turn | {"content": "".join(_text(part, nonce, pictures) for part in content)}


def _text(part: Json, nonce: str, pictures: list[Picture]) -> str:
    if isinstance(part, str):
        return part
    from llama_orch.engine.vision import Picture

    said = cast("Mapping[str, str]", part)
    picture = Picture(_decoded(said["data"], said["where"]), said["where"], f"<image-{nonce}-{len(pictures)}>")
    pictures.append(picture)
    return picture.mark


def _decoded(data: str, where: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest("the image is not in base64 (RFC 4648)", param=where, hint="encode the file again") from error
