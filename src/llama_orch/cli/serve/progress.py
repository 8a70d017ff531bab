# SPDX-License-Identifier: GPL-3.0-or-later
"""Models that are being loaded, on stderr: a bar on a terminal, a line per model elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_orch.cli.run.loading import Loading

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch_utils.targets.local import LoadEvent


class Progress:
    """Hears what workers say while they load."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._bar = Loading(out)
        self._terminal = out.stderr.isatty()
        self._begun: set[str] = set()

    def __call__(self, model: str, event: LoadEvent) -> None:
        """Show one event of a model's worker."""
        if event.kind == "loading" and not self._terminal:
            if model not in self._begun:
                self._begun.add(model)
                self._out.note(f"loading {model}")
            return
        if event.kind == "warning":
            self._begun.discard(model)
        self._bar(event)
        if event.progress is not None and event.progress >= 1:
            self._bar.clear()

    def clear(self) -> None:
        """Wipe what is drawn."""
        self._bar.clear()
