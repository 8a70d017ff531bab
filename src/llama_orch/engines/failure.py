# SPDX-License-Identifier: GPL-3.0-or-later
"""What stopped a build, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llama_orch.engines.progress import no_memory, no_network, no_room, stumble
from llama_orch_utils.errors import ConfigError, EngineFailed, OrchError

_LAST_WORDS = 15


@dataclass(frozen=True, slots=True)
class Failures:
    """The errors of one build: of which engine, in which `folder`, told at length in which `log`."""

    name: str
    folder: Path
    log: Path

    def stopped(self, said: Sequence[str], *, offline: bool) -> OrchError:
        """The error for an installer that failed after it had `said` these lines."""
        if no_room(said):
            return ConfigError(
                "the disk is full", key="engine", hint=f"make room, then run it again: df -h {self.folder}"
            )
        if no_memory(said):
            return self.failed("memory ran out while compiling", "orch engine build --jobs 1", said)
        if no_network(said) and not offline:
            return self.failed("the package index cannot be reached", "orch engine build", said)
        return self.failed(stumble(said) or "the installer failed", None, said)

    def failed(self, why: str, hint: str | None = None, said: Sequence[str] = ()) -> EngineFailed:
        """The error that says `why`, with the last lines that were said."""
        return EngineFailed(
            f"the engine {self.name} could not be built: {why}",
            last_words="\n".join([line for line in said if line.strip()][-_LAST_WORDS:]),
            hint=hint or f"its log tells more: {self.log}",
            code="build_failed",
        )
