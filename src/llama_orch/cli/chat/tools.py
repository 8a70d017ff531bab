# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools of a conversation: those of the command line, and those that /tools adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_orch.cli.run import tooling
from llama_orch.cli.run.consent import Consent

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.cli.run.asking import Asking
    from llama_orch_utils.tools.definition import Tool


class Tools:
    """What the model may call now. Consent that was given with `a` lasts for the conversation."""

    def __init__(self, options: Asking, out: Output) -> None:
        self._consent = Consent(out, given=options.yes)
        self._asked = tooling.options_of(options, out, self._consent)

    @property
    def options(self) -> dict[str, Any]:
        """As options of the call; nothing without a tool."""
        return self._asked if self._asked.get("tools") else {}

    def add(self, word: str) -> None:
        """One more, as --tool names it. Raises UsageError, ToolError."""
        from llama_orch.cli.failure import UsageError
        from llama_orch.cli.run.toolset import load

        known = {tool.name for tool in self._tools()}
        new = load([word], self._consent)
        if twice := [tool.name for tool in new if tool.name in known]:
            raise UsageError(f"there is a tool called {twice[0]} already", hint="/tools - forgets all")
        self._asked["tools"] = [*self._tools(), *new]

    def clear(self) -> None:
        """None any more."""
        self._asked["tools"] = []

    def lines(self) -> list[str]:
        """Each by its name and the first line of what it does."""
        return [f"{tool.name}  {tool.description.partition(chr(10))[0]}".rstrip() for tool in self._tools()]

    def _tools(self) -> list[Tool[..., Any]]:
        return self._asked.get("tools", [])
