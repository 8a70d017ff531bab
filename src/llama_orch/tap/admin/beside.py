# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on the books beside the event loop: they block."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import ParamSpec, TypeVar

from llama_orch.ledger.errors import LedgerAway

Given = ParamSpec("Given")
Found = TypeVar("Found")

SECONDS = 5.0
"""A database that answers no sooner is away. What had begun may still happen: that is what ids are for."""
_THREADS = 8


async def beside(work: Callable[Given, Found], *args: Given.args, **kwargs: Given.kwargs) -> Found:
    """What `work` gives, from a thread. Raises what it raises, and LedgerAway when it takes longer than SECONDS."""
    return await within(SECONDS, work, *args, **kwargs)


async def within(seconds: float, work: Callable[Given, Found], *args: Given.args, **kwargs: Given.kwargs) -> Found:
    """The same with another limit."""
    running = asyncio.get_running_loop().run_in_executor(_threads(), lambda: work(*args, **kwargs))
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.shield(running)
    except TimeoutError as error:
        running.add_done_callback(_forget)
        raise LedgerAway(
            f"the database did not answer within {seconds:.0f} s",
            hint="ask again with the same id: what had begun may have happened",
        ) from error


@cache
def _threads() -> ThreadPoolExecutor:
    """Of their own: a database that hangs must not keep others from theirs."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="tap-books")


def _forget(running: asyncio.Future[Found]) -> None:
    """Its outcome is nobody's any more."""
    if not running.cancelled():
        running.exception()
