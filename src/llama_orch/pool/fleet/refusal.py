# SPDX-License-Identifier: GPL-3.0-or-later
"""The typed 503s of a fleet: each says when to come back, where that is known."""

from __future__ import annotations

from llama_orch import machine
from llama_orch_utils.errors import EngineFailed

OUT_OF_MEMORY = "out_of_memory"
DIED = "worker_died"
# What llama.cpp, ggml's backends, C++ and Python say when memory cannot be had.
_SHORT = ("failed to allocate", "unable to allocate", "cannot allocate", "out of memory", "bad_alloc", "MemoryError",
          "cudaErrorMemoryAllocation", "ErrorOutOfDeviceMemory")  # fmt: skip


def loading(name: str, progress: float | None) -> EngineFailed:
    """The model is on its way, and the request did not wait for all of it."""
    percent = "" if progress is None else f" ({progress:.0%})"
    return EngineFailed(f"{name} is being loaded{percent}", code="loading", retry_after=2, hint="try again in a moment")


def busy(name: str) -> EngineFailed:
    """Other models, which are answering, have the memory."""
    return EngineFailed(
        f"{name} waits for memory that models which are answering have",
        code="loading",
        retry_after=5,
        hint="try again in a moment; more at once need more memory, or smaller --context and --slots",
    )


def too_large(name: str, need: int, limit: int) -> EngineFailed:
    """It does not fit even when all others that may go have gone."""
    return EngineFailed(
        f"{name} needs about {gib(need)} of memory; {gib(limit)} can be had",
        code=OUT_OF_MEMORY,
        hint="a smaller --context or --slots, a smaller quantisation, or a larger --memory",
    )


def crashed(name: str, how: str, last_words: str, *, reckoned: int = 0, starved: bool = False) -> EngineFailed:
    """The worker ended while it was in use.

    `starved`: the kernel has ended a process for want of memory meanwhile. `reckoned` bytes it was planned with.
    """
    if starved or any(word.lower() in last_words.lower() for word in _SHORT):
        return _starved(name, how, last_words, reckoned)
    return EngineFailed(
        f"the worker of {name} ended ({how})",
        code=DIED,
        retry_after=1,
        hint="try again: the next request starts it anew",
        last_words=last_words,
    )


def _starved(name: str, how: str, last_words: str, reckoned: int) -> EngineFailed:
    free = machine.available_memory()
    return EngineFailed(
        f"the worker of {name} ran out of memory ({how}): it was reckoned with {gib(reckoned)}, {gib(free)} are free",
        code=OUT_OF_MEMORY,
        retry_after=1,
        hint="try again: the next worker gets fewer slots; or a smaller --context, or a smaller quantisation",
        last_words=last_words,
    )


def ending() -> EngineFailed:
    """The fleet is being closed."""
    return EngineFailed("the server is ending", code="stopping", retry_after=5, hint="try again when it is back")


def again(error: EngineFailed, seconds: float) -> EngineFailed:
    """The same failure once more, without another try: that comes after `seconds`."""
    return EngineFailed(
        error.message, code=error.code, hint=error.hint, last_words=error.last_words, retry_after=max(0.1, seconds)
    )


def gib(count: int) -> str:
    """Bytes in GiB, or MiB where they are few."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**29 else f"{count / 2**20:.0f} MiB"
