# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests on their way through the embedder, and who comes next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from llama_orch.engine.busy import Used
from llama_orch_utils.errors import OrchError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Done = Callable[["NDArray[np.float32] | OrchError"], None]
"""Called once by the embedding thread, with the vectors [texts, width] or the error. Must not block."""


@dataclass(slots=True, eq=False)
class Job:
    """One request: its texts as tokens, the vectors that are there, and the texts that still wait (by index).

    `left` texts have no vector yet; `tokens` are those of all texts; `used` is what the caller wants to be told of.
    """

    id: int
    texts: Sequence[NDArray[np.int32]]
    vectors: NDArray[np.float32]
    done: Done
    waiting: deque[int] = field(default_factory=deque[int])
    left: int = 0
    tokens: int = 0
    used: Used | None = None

    def __post_init__(self) -> None:
        self.waiting.extend(range(len(self.texts)))
        self.left, self.tokens = len(self.texts), sum(map(len, self.texts))


Part = tuple[Job, int]
"""One text of a job, by its index."""


class Turns:
    """The jobs in turn: each gives one text at a time, so that a request of thousands holds nobody up."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: Job) -> None:
        """A new job, at the end."""
        self._jobs.append(job)

    def remove(self, job: Job) -> None:
        """A job that is over, or not wanted any more; harmless when repeated."""
        self._jobs = [other for other in self._jobs if other is not job]

    def take(self, rows: int, sequences: int) -> list[Part]:
        """The texts of the next batch: as many as fit into `rows`, at most `sequences`; at least one if any waits.

        A job that got no place for want of room is the first of the next batch.
        """
        found: list[Part] = []
        served: set[int] = set()
        more = True
        while more:
            more = False
            for job in self._jobs:
                size = len(job.texts[job.waiting[0]]) if job.waiting else 0
                if not size or len(found) == sequences or (found and size > rows):
                    continue
                found.append((job, job.waiting.popleft()))
                rows -= size
                served.add(job.id)
                more = True
        self._jobs.sort(key=lambda job: job.id in served)  # stable: whoever was left out comes first
        return found
