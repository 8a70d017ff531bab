# SPDX-License-Identifier: GPL-3.0-or-later
"""How many tokens a prompt has exactly, asked of a worker of ours, which makes none for the answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from llama_orch.tap.routing.errand import Errand
from llama_orch.tap.routing.local import worker_head
from llama_orch.tap.upstream import UpstreamBroken

if TYPE_CHECKING:
    from llama_orch.tap.routing.routing import Routed

Counter = Callable[[], Awaitable[int | None]]
COUNT = b"x-orch-count: 1\r\n"
_OK = 200


def counter_of(errand: Errand, routed: Routed) -> Counter | None:
    """What counts the prompt of a request; None where no worker of ours can."""
    return (lambda: _counted(errand, routed.spec.name)) if routed.here else None


async def _counted(errand: Errand, name: str) -> int | None:
    """The prompt's tokens; None where the worker cannot say: the bound then stands."""
    tap = errand.tap
    lease = await tap.fleet.lease(name, wait=tap.options.load_wait)
    try:
        upstream = await tap.pool.acquire(lease.socket)
    except OSError:
        lease.release()
        return None
    said = b""
    try:
        await upstream.ask(worker_head(errand, lease, COUNT), errand.body)
        while chunk := await upstream.read():
            said += chunk
    except UpstreamBroken:
        return None
    finally:
        tap.pool.release(lease.socket, upstream)
        lease.release()
    return _number(said) if upstream.status == _OK else None


def _number(said: bytes) -> int | None:
    try:
        found = json.loads(said)["input_tokens"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, int) else None
