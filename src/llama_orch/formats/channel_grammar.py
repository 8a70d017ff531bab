# SPDX-License-Identifier: GPL-3.0-or-later
"""Grammars for answers in harmony messages (gpt-oss)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from llama_orch.formats.channels import CHANNEL, END, FUNCTIONS, MESSAGE, START
from llama_orch.formats.rules import Rules
from llama_orch.formats.tool import ToolSpec

TRIGGER = "to=" + FUNCTIONS
ASIDES = ((MESSAGE, END),)
"""What is no header is some message's body."""
ANALYSIS = (f"{CHANNEL}analysis{MESSAGE}", END)
"""The marks around a thought."""


def channel_rules(rules: Rules, tools: Sequence[ToolSpec], *, thinking: bool, opened: str) -> tuple[str, str]:
    """What may come before a call or an answer, and one call, whose header the prompt's end may have begun.

    One: each ends the turn (`<|call|>` ends generations).
    """
    begun = opened.rpartition(START)[2] if START in opened else ""
    channel, message = rules.mark(CHANNEL), rules.mark(MESSAGE)
    rest = f'{rules.upto(END)} {rules.mark(START)} "assistant" '
    thought = f'{channel} "analysis" {message} {rest}'
    lead = rest if "analysis" + MESSAGE in begun else f"({thought})? " if thinking else ""
    word = f'(ws {rules.mark("<|constrain|>")} | " ") ("json" | "code")'
    calls = [rules.fresh("call", f"{json.dumps(tool.name)} after {rules.arguments(tool)}") for tool in tools]
    if calls:
        rules.add("after", f'({channel} "commentary")? ({word})? ws {message}')
        call = rules.fresh("call", " | ".join(calls))
        header = f'({channel} "commentary" " " | " ")'
        return lead, f'{header} "{TRIGGER}" {call}'
    return lead, ""


def free_rules(rules: Rules, tools: Sequence[ToolSpec]) -> str:
    """A call from its recipient on."""
    _, call = channel_rules(rules, tools, thinking=False, opened="")
    return call[call.index(f'"{TRIGGER}"') :]


def final_rules(rules: Rules, answer: str) -> str:
    """The answer to the user."""
    return f'{rules.mark(CHANNEL)} "final" {rules.mark(MESSAGE)} {answer}'
