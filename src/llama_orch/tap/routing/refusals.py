# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said where a server elsewhere does not answer. None of it names that server, or repeats what it said."""

from __future__ import annotations

from llama_orch_utils.errors import (
    EngineFailed,
    OrchError,
    RateLimited,
    RequestError,
    StreamBroken,
    TargetError,
    TargetTimeout,
    UnsupportedByTarget,
)


def unavailable(model: str, seconds: float) -> EngineFailed:
    """Every upstream of the model is being left alone; the first may be tried again in `seconds`."""
    return EngineFailed(
        f"no upstream of {model} answers at present",
        code="upstream_unavailable",
        retry_after=max(1.0, seconds),
        hint="try again after Retry-After seconds",
    )


def unreachable(model: str) -> EngineFailed:
    """The server takes no connections."""
    return EngineFailed(
        f"the upstream of {model} cannot be reached", code="upstream_unreachable", retry_after=1, hint="try again"
    )


def failed(model: str, status: int) -> OrchError:
    """The server answered with an error of its own."""
    return TargetError(f"the upstream of {model} failed with status {status}", code="upstream_failed", hint="try again")


def refused(model: str, status: int) -> OrchError:
    """The server would not serve the gateway: its key, or its name of the model, is the operator's to mend."""
    return TargetError(
        f"the upstream of {model} refused this tap with status {status}",
        code="upstream_refused",
        hint="tell the operator of this tap",
    )


def nonsense(model: str) -> OrchError:
    """The server answered with what is no answer."""
    return TargetError(f"the upstream of {model} gave no answer that makes sense", code="upstream_failed")


def silent(model: str, phase: str, seconds: float) -> TargetTimeout:
    """The server said nothing for too long."""
    return TargetTimeout(f"the upstream of {model} was silent for {seconds:.0f} s", phase=phase, seconds=seconds)


def broke(model: str) -> StreamBroken:
    """The answer ended before its end."""
    return StreamBroken(f"the upstream of {model} broke off its answer", hint="ask again; what came is billed")


def busy(model: str, seconds: float) -> RateLimited:
    """The server takes no more for now."""
    return RateLimited(
        f"the upstream of {model} takes no more requests at present",
        retry_after=max(1.0, seconds),
        hint="try again after Retry-After seconds",
    )


def unspoken(model: str, path: str) -> UnsupportedByTarget:
    """The model is served by servers that are not asked in this dialect."""
    return UnsupportedByTarget(
        f"{model} is not served at {path} here",
        capability=path,
        param="/model",
        hint="ask for it at /v1/chat/completions, /v1/completions or /v1/embeddings",
    )


def rejected(model: str, status: int) -> OrchError:
    """The server has something against the request, in words that cannot be repeated."""
    return RequestError(
        f"the upstream of {model} rejected the request", code="upstream_rejected", status=status, hint="change it"
    )
