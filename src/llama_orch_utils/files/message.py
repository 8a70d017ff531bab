# SPDX-License-Identifier: Apache-2.0
"""A question with its files, as one turn."""

from __future__ import annotations

from collections.abc import Sequence

from llama_orch_utils.errors import BadRequest, UnsupportedByTarget
from llama_orch_utils.files.attachment import Attachment
from llama_orch_utils.messages import Message, Part
from llama_orch_utils.types import ModelInfo

VISION = "vision"


def message(text: str, attachments: Sequence[Attachment]) -> Message:
    """The user's turn: texts by name before the question, images as parts behind it. Raises BadRequest for nothing."""
    texts = [each.text for each in attachments if not each.is_image]
    whole = "\n\n".join([*texts, text.strip("\n")] if text.strip() else texts)
    images = [each for each in attachments if each.is_image]
    if not images:
        if not whole:
            raise BadRequest("the prompt is empty", param="/messages", hint="give some text")
        return {"role": "user", "content": whole}
    parts: list[Part] = [{"type": "text", "text": whole}] if whole else []
    return {"role": "user", "content": [*parts, *(each.part() for each in images)]}


def check_sight(attachments: Sequence[Attachment], model: ModelInfo | None, name: str, target: str) -> None:
    """Raises UnsupportedByTarget for an image where the target does not say that the model sees.

    `model` is the target's entry of the model called `name`, None where it lists none.
    """
    images = [each for each in attachments if each.is_image]
    if not images:
        return
    told = model.capabilities if model is not None else None
    if told is not None and VISION in told:
        return
    can = f"it can: {', '.join(sorted(told)) or 'text'}" if told is not None else "its target does not say what it can"
    raise UnsupportedByTarget(
        f"{images[0].name} is an image ({images[0].kind}), and {name or 'the model'} does not see ({can})",
        capability=VISION,
        param="/messages",
        target=target,
        hint="describe it in words, or choose a model that sees: orch models ls --json",
    )
