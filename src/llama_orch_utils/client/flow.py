# SPDX-License-Identifier: Apache-2.0
"""The protocol of a call, once, as generators without I/O: they yield steps, a driver takes them.

A driver sends the step's result into the generator, or throws what went wrong into it.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from llama_orch_utils.client.answer import Json, loads, models_of
from llama_orch_utils.client.endpoint import Endpoint
from llama_orch_utils.client.failure import LOGIN, error_of, retry_after_of
from llama_orch_utils.client.options import encoded
from llama_orch_utils.client.repeat import Repeat
from llama_orch_utils.errors import (
    BadRequest,
    EngineFailed,
    NotAuthorised,
    OrchError,
    StreamBroken,
    TargetTimeout,
    TargetUnreachable,
)
from llama_orch_utils.transport.clock import Clock, PhaseElapsed, Timeouts
from llama_orch_utils.transport.exchange import MOST_BODY_BYTES, Call, Head, TransportFailure

if TYPE_CHECKING:
    from llama_orch_utils.tools.toolbox import Toolbox
    from llama_orch_utils.types import ToolCall

FIRST_WAIT = 0.25
LONGEST_WAIT = 8.0
# A server that asks for more than this is told to the caller instead of waited for.
LONGEST_RETRY_AFTER = 20.0
MOST_ERROR_BYTES = 64 * 1024
NAMES_SHOWN = 5
OK = 200
UNAVAILABLE = 503
LOADING = "loading"  # the code of a target whose model is not ready yet


@dataclass(frozen=True, slots=True)
class Locate:
    """Find the endpoint for `model`; `lost` is one that does not answer any more. Result: Endpoint."""

    model: str | None
    lost: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Send `call`. Result: an open reply. Thrown: TransportFailure, PhaseElapsed."""

    call: Call
    clock: Clock


@dataclass(frozen=True, slots=True)
class Body:
    """Read the body of `reply` and close it. Result: bytes, at most `most`. Thrown: as Send."""

    reply: HasHead
    most: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait `seconds`. Result: None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Autopsy:
    """See whether the endpoint's worker lives. Result: None if it does, else its last words; it is then forgotten."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Use:
    """Run `calls`. Result: a ToolResult for each, in their order. Thrown: ToolError, where that is wanted.

    `secret` is struck out of what a model is told of an error.
    """

    toolbox: Toolbox
    calls: tuple[ToolCall, ...]
    secret: str = ""


class HasHead(Protocol):
    """A reply, of either driver."""

    head: Head


Step = Locate | Send | Body | Wait | Autopsy | Use
Flow = Generator[Step, Any, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """One call of the API: what to ask, how long to wait, how often to try again."""

    method: str
    path: str
    body: Json | None
    model: str | None
    limits: Timeouts
    retries: int
    streamed: bool = False
    repeat: Repeat | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A reply with status 200, its body not yet read."""

    endpoint: Endpoint
    reply: Any
    clock: Clock


def whole(job: Job) -> Generator[Step, Any, tuple[Json, Endpoint, Head]]:
    """The JSON of the whole answer."""
    opened = yield from begin(job)
    try:
        body = yield Body(opened.reply, MOST_BODY_BYTES)
    except (TransportFailure, PhaseElapsed) as failure:
        error = yield from broken(opened.endpoint, failure)
        raise error from failure
    return loads(body, opened.reply.head, opened.endpoint.target), opened.endpoint, opened.reply.head


def begin(job: Job) -> Generator[Step, Any, Opened]:
    """Locate the target, send the request, and try again where that is allowed."""
    endpoint: Endpoint = yield Locate(job.model)
    body = b""
    if job.body is not None:
        model = yield from model_for(job, endpoint)
        body = encoded({"model": model, **job.body})
    key = None if job.repeat is None or endpoint.worker is not None else job.repeat.key(job.path, body)
    clock = Clock(job.limits, streamed=job.streamed)
    tries, moved = 0, False
    while True:
        try:
            reply = yield Send(endpoint.call(job.method, job.path, body, key), clock)
        except TransportFailure as failure:
            if endpoint.worker is not None and not failure.connected and not moved:
                # It ended since the last call: find or start another, once.
                endpoint, moved = (yield Locate(job.model, lost=endpoint)), True
                continue
            if failure.connected or failure.lasting or tries >= job.retries:
                error = yield from broken(endpoint, failure)
                raise error from failure
            wait = backoff(tries)
        except PhaseElapsed as elapsed:
            raise timed_out(elapsed, endpoint) from elapsed
        else:
            if reply.head.status == OK:
                return Opened(endpoint, reply, clock)
            wait = yield from refused(reply, endpoint, last=tries >= job.retries, number=tries, clock=clock)
        tries += 1
        yield Wait(wait)


def refused(
    reply: HasHead, endpoint: Endpoint, *, last: bool, number: int, clock: Clock
) -> Generator[Step, Any, float]:
    """Seconds to wait before the next try; raises the reply's error where there is none.

    Only 503 is tried again, and not for a model that cannot be loaded; never a 4xx. A wait that would outlast the
    call's time is told instead.
    """
    try:
        body = yield Body(reply, MOST_ERROR_BYTES)
    except (TransportFailure, PhaseElapsed):
        body = b""  # the status says enough
    error = error_of(reply.head, body, endpoint.target, secret=endpoint.secret)
    if isinstance(error, NotAuthorised):
        _explain_key(error, endpoint)
    asked = retry_after_of(reply.head.headers)
    wait = asked if asked is not None else backoff(number)
    failed = isinstance(error, EngineFailed) and error.code != LOADING
    left = clock.total_left()
    too_long = wait > LONGEST_RETRY_AFTER or (left is not None and wait >= left)
    if last or reply.head.status != UNAVAILABLE or failed or too_long:
        raise error
    return wait


def backoff(number: int) -> float:
    """Seconds before the next try: exponential with full jitter.

    Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    return random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**number))  # noqa: S311 - no secret


def model_for(job: Job, endpoint: Endpoint) -> Generator[Step, Any, str]:
    """The model to name: the worker's own, the call's, the target's, or the only one that the target has."""
    if endpoint.worker is not None:
        return endpoint.model or ""
    if found := job.model or endpoint.model:
        return found
    raw, _, _ = yield from whole(Job("GET", "/models", None, None, job.limits, job.retries))
    names = [model.id for model in models_of(raw)]
    if len(names) != 1:
        some = ", ".join(names[:NAMES_SHOWN]) + (", …" if len(names) > NAMES_SHOWN else "")
        raise BadRequest(
            f"{endpoint.target} has {len(names)} models" + (f" ({some})" if names else "") + ": name one",
            param="/model",
            hint=_naming(endpoint.target, names),
            target=endpoint.target,
        )
    return names[0]


def _naming(target: str, names: list[str]) -> str:
    """How to name a model; an address is no target that a setting could be for."""
    one = f'give model="{names[0]}"' if names else "give model=…"
    return one if "://" in target else f"{one}, or: orch config set targets.{target}.model MODEL"


def broken(
    endpoint: Endpoint, failure: TransportFailure | PhaseElapsed, partial: str | None = None
) -> Generator[Step, Any, OrchError]:
    """The error for an exchange that broke; `partial` is the text of a stream that had begun."""
    if isinstance(failure, PhaseElapsed):
        return timed_out(failure, endpoint)
    words = yield Autopsy(endpoint)
    if words is not None:
        return worker_died(endpoint, words)
    if partial is not None:
        return StreamBroken(
            f"the stream of {endpoint.target} broke: {failure}",
            partial=partial,
            hint="ask again",
            target=endpoint.target,
        )
    verb = "broke off" if failure.connected else "cannot be reached"
    return TargetUnreachable(
        f"{endpoint.target} {verb} at {endpoint.place.address}: {failure}",
        address=endpoint.place.address,
        hint="check the address and the network: orch target test " + endpoint.target,
        target=endpoint.target,
    )


def worker_died(endpoint: Endpoint, words: str) -> EngineFailed:
    """The error for a worker that ended during a call."""
    last = words.rstrip().rpartition("\n")[2]
    return EngineFailed(
        f"the worker of {endpoint.model} ended unexpectedly: {last}",
        last_words=words,
        hint="ask again: the next call starts a new one; orch doctor looks for the cause",
        target=endpoint.target,
    )


def timed_out(elapsed: PhaseElapsed, endpoint: Endpoint) -> TargetTimeout:
    """The error for a phase that took too long."""
    words = {
        "connect": "no connection",
        "first_token": "no first token",
        "between_tokens": "no further token",
        "total": "no whole answer",
    }[elapsed.phase]
    return TargetTimeout(
        f"{endpoint.target}: {words} within {elapsed.seconds:g} s ({elapsed.phase})",
        phase=elapsed.phase,
        seconds=elapsed.seconds,
        hint=f"give it longer: timeout=Timeouts({elapsed.phase}=…)",
        target=endpoint.target,
    )


def _explain_key(error: NotAuthorised, endpoint: Endpoint) -> None:
    origin = f"{endpoint.place.scheme}://{endpoint.place.header}"
    why = "".join(f" ({note})" for note in endpoint.notes)
    if not endpoint.secret:
        error.args = (f"{error.message}: no key was found for {origin}{why}",)
        error.message = error.args[0]
    # A target's own words are for whoever writes the header by hand: "send Authorization: Bearer KEY".
    error.hint = f"{LOGIN} {endpoint.target}"
