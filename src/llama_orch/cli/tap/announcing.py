# SPDX-License-Identifier: GPL-3.0-or-later
"""What `orch tap serve` says when it serves: one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_orch.cli.ending import drop_unwritten

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.tap.settings import Ready


class Announcement:
    """Called once with what the tap is ready with. A reader that has gone is no reason to stop serving."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def __call__(self, ready: Ready) -> None:
        """Print, and see to it that a script can read it now."""
        try:
            self._print(ready)
            self._out.stdout.flush()
        except BrokenPipeError:
            drop_unwritten()

    def _print(self, ready: Ready) -> None:
        out = self._out
        for name, why in ready.failed.items():
            out.warn(f"{name} is not served: {why}", "orch models ls")
        if out.json:
            told = {"url": ready.url, "base_url": f"{ready.url}/v1", "models": list(ready.models)}
            out.data(told | {"failed": dict(ready.failed), "pid": ready.pid}, compact=True)
        elif out.quiet:
            out.line(ready.url)
        else:
            out.line(f"ready: {ready.url} serves {', '.join(ready.models) or 'no model'}")
