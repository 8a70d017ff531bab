# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests of which kind are with each worker at once, and who waits where for that."""

from __future__ import annotations

from llama_orch.tap.call import Client
from llama_orch.tap.fairness import SHARE, Queue
from llama_orch_utils.errors import RateLimited

_LANES: dict[str, str] = {"generate": "generate", "embed": "embed", "rerank": "embed"}
_PLACES = {"embed": 4, "quick": 8}
"""Embedding has a thread of its own in the worker; counting and tokenising take no slot at all."""


class Lanes:
    """The queues of all models, and the lobby of requests whose model is not ready."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._queues: dict[tuple[str, str], Queue] = {}
        self._share = max(1, int(most * SHARE))
        self._lobby: dict[Client, int] = {}
        self._waiting = 0

    def of(self, model: str, job: str, slots: int) -> Queue:
        """The queue of one model for one kind of request.

        One more than its slots is with a worker that generates: it prepares that one while the others run.
        """
        lane = _LANES.get(job, "quick")
        places = _PLACES.get(lane, slots + 1)
        queue = self._queues.get((model, lane))
        if queue is None:
            queue = self._queues[model, lane] = Queue(places, self._most)
        elif queue.places != places:  # the worker was started anew with other slots
            queue.places = places
            queue.admit()
        return queue

    def enter_lobby(self, client: Client) -> None:
        """Where a request waits for its model; `leave_lobby` follows. Raises RateLimited where there is no room."""
        mine = self._lobby.get(client, 0)
        if self._waiting >= self._most or mine >= self._share:
            raise RateLimited(
                f"{self._waiting} requests wait for models that are being loaded",
                retry_after=5.0,
                hint="try again after Retry-After seconds",
            )
        self._waiting += 1
        self._lobby[client] = mine + 1

    def leave_lobby(self, client: Client) -> None:
        """The request has its model, or has given up."""
        self._waiting -= 1
        left = self._lobby[client] - 1
        if left:
            self._lobby[client] = left
        else:
            del self._lobby[client]

    def load(self) -> dict[str, tuple[int, int]]:
        """By model: requests that are with its worker, and that wait for it."""
        found: dict[str, tuple[int, int]] = {}
        for (model, _), queue in self._queues.items():
            running, waiting = found.get(model, (0, 0))
            found[model] = (running + queue.running, waiting + queue.waiting)
        return found
