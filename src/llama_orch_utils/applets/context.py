# SPDX-License-Identifier: Apache-2.0
"""What an applet is given to work with: a client within a budget, files, prompts, progress, a log, a brand."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llama_orch_utils.applets.files import Files
from llama_orch_utils.applets.prompts import Prompts

if TYPE_CHECKING:
    from llama_orch_utils.client.blocking import Client

Progress = Callable[[int, int, str], None]
"""What is done, of how many, and what it is about."""


def silent(_done: int, _total: int, _words: str) -> None:
    """Shows no progress."""


@dataclass(frozen=True, slots=True)
class Context:
    """One run.

    `client` reaches the target, and spends no more than the run may cost (then BudgetExceeded); `files` are those that
    were given to it; `progress(done, total, words)` shows how far it is; `log` is for whoever runs it, never for
    prompts and answers; `brand` holds the texts of the client's brand.
    """

    client: Client
    files: Files
    prompts: Prompts
    progress: Progress = silent
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("llama_orch.applet"))
    brand: Mapping[str, str] = field(default_factory=dict[str, str])

    def prompt(self, name: str, **values: Any) -> str:
        """The prompt `prompts/NAME.md` with its placeholders filled in. Raises AppletError where one has no value."""
        return self.prompts[name].fill({"brand": self.brand, **values})

    @property
    def spent(self) -> int:
        """Micro-euros that this run has cost so far; 0 where nothing is charged."""
        return self.client.spent
