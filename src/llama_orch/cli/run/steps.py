# SPDX-License-Identifier: GPL-3.0-or-later
"""What the model calls and what that gives, on stderr."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from llama_orch.cli.output import one_line, printable
from llama_orch.cli.run.consent import called

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch_utils.types import ToolCall, ToolResult

_WIDTH = 100


def show_call(call: ToolCall, out: Output) -> None:
    """The call, on a line of its own."""
    out.note(f"tool: {one_line(_written(call), _WIDTH)}")


def show_result(result: ToolResult, out: Output) -> None:
    """What it gave, on one line."""
    out.note(f"  -> {one_line(result.text, _WIDTH)}")


def as_data(result: ToolResult) -> dict[str, Any]:
    """A run for the JSON record."""
    arguments: object = result.call.arguments
    with contextlib.suppress(ValueError, RecursionError):  # a model's text that is no JSON is shown as it is
        arguments = json.loads(result.call.arguments)
    return {"name": result.call.name, "arguments": arguments, "result": result.text, "failed": result.failed}


def _written(call: ToolCall) -> str:
    from llama_orch_utils.errors import InvalidAnswer

    try:
        return called(call.name, call.values)
    except InvalidAnswer:
        return printable(f"{call.name}({call.arguments})")
