# SPDX-License-Identifier: GPL-3.0-or-later
"""How much the model is to think, and what else its chat template is told."""

from __future__ import annotations

from collections.abc import Mapping

from llama_orch.wire.fields import Fields
from llama_orch.wire.generation import Thinking
from llama_orch.wire.json_body import Json
from llama_orch_utils.errors import BadRequest

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
RESERVED = ("messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token")
"""Variables of chat templates that the server itself sets."""


def read_thinking(fields: Fields) -> Thinking | None:
    """The field `reasoning_effort`. A model that does not think answers as it does without it."""
    effort = fields.text("reasoning_effort")
    if effort is None:
        return None
    if effort not in EFFORTS:
        raise BadRequest(f"reasoning_effort must be one of {', '.join(EFFORTS)}", param=fields.at("reasoning_effort"))
    return Thinking(enabled=effort != "none", effort=effort)


def read_template(fields: Fields) -> Mapping[str, Json]:
    """The field `chat_template_kwargs`, as the llama.cpp server and vLLM have it: variables for the chat template."""
    variables = fields.object("chat_template_kwargs")
    if variables is None:
        return {}
    for name in RESERVED:
        if name in variables.members():
            raise BadRequest(f"{name} is set by the server", param=variables.at(name), hint=f"leave {name} out")
    return variables.members()
