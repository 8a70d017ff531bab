# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools of a command line, as options of the call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_orch.cli.failure import UsageError

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.cli.run.asking import Asking
    from llama_orch.cli.run.consent import Consent


def options_of(options: Asking, out: Output, consent: Consent | None = None) -> dict[str, Any]:
    """`tools` and `max_steps`; nothing without --tool. Raises UsageError, ToolError."""
    if not options.tools:
        for given, name in ((options.yes, "--yes"), (options.max_steps is not None, "--max-steps")):
            if given:
                raise UsageError(f"{name} is about --tool, and there is none", hint="--tool FILE.py:FUNC")
        return {}
    from llama_orch.cli.run import consent as asking
    from llama_orch.cli.run.toolset import load

    consent = consent or asking.Consent(out, given=options.yes)
    consent.check()
    found: dict[str, Any] = {"tools": load(options.tools, consent)}
    return found | ({"max_steps": options.max_steps} if options.max_steps is not None else {})
