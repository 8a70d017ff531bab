# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be built, and what is heard while it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from llama_orch.engines.installer import Source
from llama_orch.engines.record import Backend, Kind


@dataclass(frozen=True, slots=True)
class Wish:
    """A build: what it is called, for which backend, compiled here or prebuilt.

    `version` of the package (None: the newest that we know to work), cmake's `definitions` on top of ours, compilers at
    once (`jobs`, None: all cores), and where packages come from. `measured`: its speed is shown, beside that of the
    engine in use.
    """

    name: str
    backend: Backend
    kind: Kind = "built"
    version: str | None = None
    definitions: tuple[str, ...] = ()
    jobs: int | None = None
    source: Source = field(default_factory=Source)
    measured: bool = True


@dataclass(frozen=True, slots=True)
class BuildEvent:
    """Something to show.

    `kind`: `step` (a new one begins), `progress` (`done` of `total` files are compiled), `waiting` (another command
    builds the same), `note`, `warning`.
    """

    kind: Literal["step", "progress", "waiting", "note", "warning"]
    message: str
    done: int = 0
    total: int = 0


BuildListener = Callable[[BuildEvent], None]
