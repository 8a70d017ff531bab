# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking before a tool is run: a model's arguments are not the user's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from llama_orch.cli.failure import UsageError
from llama_orch.cli.output import printable
from llama_orch_utils.errors import ToolError

if TYPE_CHECKING:
    from llama_orch.cli.output import Output

_SHOWN = 400  # characters of an argument in the question


class Consent:
    """Asks at the terminal, also where stdin is a pipe; `given` (--yes, or the answer `a`) asks no more."""

    def __init__(self, out: Output, *, given: bool) -> None:
        self._out = out
        self.given = given

    def check(self) -> None:
        """Raises UsageError where nobody could be asked."""
        from llama_orch.cli.run.toolset import terminal_at_hand

        if not self.given and not terminal_at_hand():
            raise UsageError(
                "--tool asks before it runs a function, and there is no terminal to ask at",
                hint="add --yes if the functions may run unasked",
            )

    def ask(self, name: str, arguments: Mapping[str, object]) -> None:
        """Raises ToolError, for the model, when the user declines."""
        if self.given:
            return
        question = f"run {called(name, arguments)}? [y]es, [N]o, [a]lways: "
        painted = self._out.paint(question, "yellow", stream=self._out.stderr)
        reply = _reply(painted).strip().lower()
        self.given = reply in ("a", "always")
        if not self.given and reply not in ("y", "yes"):
            raise ToolError("the user declined this call", tool=name)


def called(name: str, arguments: Mapping[str, object]) -> str:
    """A call as Python writes it, safe to show."""
    parts = [f"{key}={_short(repr(value))}" for key, value in arguments.items()]
    return printable(f"{name}({', '.join(parts)})").replace("\n", "\\n")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _reply(question: str) -> str:
    """What is typed; nothing at the end of input, which is a no."""
    with open("/dev/tty", "r+b", buffering=0) as terminal:  # noqa: PTH123 - a device, unbuffered
        terminal.write(question.encode("utf-8", "replace"))
        return terminal.readline().decode("utf-8", "replace")
