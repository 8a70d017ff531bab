# SPDX-License-Identifier: GPL-3.0-or-later
"""The field `model`, the same in every dialect, and in the gateway that picks the worker by it."""

from __future__ import annotations

from llama_orch.wire.fields import Fields
from llama_orch.wire.shapes import Schema, text
from llama_orch_utils.errors import BadRequest

MAX_NAME = 512
MODEL: Schema = text(shortest=1, longest=MAX_NAME)


def read_model(fields: Fields) -> str | None:
    """The name of a model, 1 to 512 characters; None where there is none. Raises BadRequest."""
    name = fields.text("model")
    if name is not None and not 0 < len(name) <= MAX_NAME:
        raise BadRequest(f"model must have 1 to {MAX_NAME} characters", param=fields.at("model"))
    return name


def need_model(fields: Fields, hint: str) -> str:
    """The name of a model, which must be there. Raises BadRequest with this hint where it is not."""
    name = read_model(fields)
    if name is None:
        raise BadRequest("model is required", param=fields.at("model"), hint=hint)
    return name
