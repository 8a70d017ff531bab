# SPDX-License-Identifier: GPL-3.0-or-later
"""The typed 503s of a fleet: each says when to come back, where that is known."""

from __future__ import annotations

from llama_orch_utils.errors import EngineFailed


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
        f"{name} needs about {_gib(need)} of memory; {_gib(limit)} can be had",
        code="out_of_memory",
        hint="a smaller --context or --slots, a smaller quantisation, or a larger --memory",
    )


def crashed(name: str, how: str, last_words: str) -> EngineFailed:
    """The worker ended while it was in use."""
    return EngineFailed(
        f"the worker of {name} ended ({how})",
        code="worker_died",
        retry_after=1,
        hint="try again: the next request starts it anew",
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


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**29 else f"{count / 2**20:.0f} MiB"
