# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls as a model of a format would write them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from llama_orch.formats.channels import CHANNEL, FUNCTIONS, MESSAGE, START
from llama_orch.formats.form import Array, CallForm, Format, Object, Slot

Call = tuple[str, Mapping[str, object]]
"""A tool's name and its arguments."""


def written(form: Format, calls: Sequence[Call]) -> str:
    """The text of these calls in the format's own form."""
    if form.channels:
        return f"{START}assistant".join(
            f"{CHANNEL}commentary to={FUNCTIONS}{name} <|constrain|>json{MESSAGE}{_json(arguments)}<|call|>"
            for name, arguments in calls
        )
    call_form = form.calls[0]
    array = next((step for step in call_form.steps if isinstance(step, Array)), None)
    if array is not None:
        items = "[" + ", ".join(_object(array.item, *call) for call in calls) + "]"
        body = "".join(items if step is array else str(step) for step in call_form.steps)
    else:
        body = call_form.between.join(_call(call_form, name, arguments) for name, arguments in calls)
    return call_form.before + body + call_form.after


def _call(form: CallForm, name: str, arguments: Mapping[str, object]) -> str:
    texts = {
        Slot.NAME: name,
        Slot.ID: "0",
        Slot.ARGUMENTS: _json(arguments),
        Slot.PARAMETERS: "\n".join(
            f"<parameter={key}>\n{_plain(value)}\n</parameter>" for key, value in arguments.items()
        ),
    }
    parts: list[str] = []
    for step in form.steps:
        if isinstance(step, str):
            parts.append(step)
        elif isinstance(step, Slot):
            parts.append(texts[step])
        elif isinstance(step, Object):
            parts.append(_object(step, name, arguments))
    return "".join(parts)


def _object(form: Object, name: str, arguments: Mapping[str, object]) -> str:
    head = '"tool_call_id": "0", ' if "tool_call_id" in form.head else ""
    return f'{{{head}"{form.name[0]}": {_json(name)}, "{form.arguments[0]}": {_json(arguments)}}}'


def _plain(value: object) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
