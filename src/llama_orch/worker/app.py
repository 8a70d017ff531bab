# SPDX-License-Identifier: GPL-3.0-or-later
"""The ASGI application: routes, request ids, errors as answers, one log line per request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from llama_orch.wire import envelope
from llama_orch.wire.receipt import Receipt
from llama_orch.wire.routes import Route, load, matching
from llama_orch.worker import jobs
from llama_orch.worker.call import Call
from llama_orch.worker.gate import Gate
from llama_orch.worker.replies import ClientGone, Receive, Scope, Send
from llama_orch.worker.service import Service
from llama_orch_utils.errors import OrchError, RequestError

log = logging.getLogger("llama_orch.worker")

_OK, _NO_CLIENT = 200, 499
_UNLOGGED = ("/health", "/metrics")


class App:
    """The worker's side of the wire protocol."""

    def __init__(self, service: Service, gate: Gate) -> None:
        self._service = service
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI scope; everything that goes wrong becomes an answer here."""
        if scope["type"] != "http":
            return
        call = Call(scope, receive, send, trusted=self._service.options.socket is not None)
        begun = self._service.loop.time()
        routes = matching(scope["path"])
        try:
            await self._dispatch(call, routes)
        except ClientGone:
            call.status, call.note = _NO_CLIENT, "client gone"
        except OrchError as error:
            await self._refuse(call, routes, error)
        except Exception:
            log.exception("%s: a defect of llama-orch", call.id)
            defect = OrchError("the worker met a defect of its own; its log tells", code="internal")
            await self._refuse(call, routes, defect)
        seconds = self._service.loop.time() - begun
        self._service.counted.note(call)
        self._record(call, routes, seconds)
        self._log(call, seconds)

    async def _dispatch(self, call: Call, routes: tuple[Route, ...]) -> None:
        self._gate.check(call.scope)
        if not routes:
            raise RequestError(f"there is no {_shown(call)} here", code="unknown_path", status=404)
        for route in routes:
            if route.method == call.scope["method"]:
                await jobs.handler(route.job)(self._service, call, route)
                return
        allowed = ", ".join(route.method for route in routes)
        error = RequestError(f"{_shown(call)} answers only {allowed}", code="method_not_allowed", status=405)
        call.note = error.code
        await call.reply(405, _failure(routes)(error), [(b"allow", allowed.encode())])

    async def _refuse(self, call: Call, routes: tuple[Route, ...], error: OrchError) -> None:
        call.note, error.request_id = error.code, call.id
        if call.status:  # the answer has begun and cannot become another one: end it short of its end
            return
        headers = envelope.headers(error)
        if error.status in {408, 413}:  # the rest of the body is not wanted
            headers.append((b"connection", b"close"))
        took = replace(call.took or Receipt(), outcome=error.code)
        await call.reply(error.status, _failure(routes)(error), headers, took=took)

    def _record(self, call: Call, routes: tuple[Route, ...], seconds: float) -> None:
        metrics = self._service.metrics
        if metrics is None or not routes or not routes[0].dialect:
            return
        took = call.took or Receipt()
        outcome = call.note or took.outcome or ("stop" if call.status == _OK else str(call.status))
        metrics.record(routes[0], replace(took, outcome=outcome.replace(" ", "_"), total_seconds=seconds))

    def _log(self, call: Call, seconds: float) -> None:
        scope = call.scope
        if scope["path"] in _UNLOGGED and call.status == _OK:
            return
        took, counts = f"{seconds * 1e3:.0f}ms", call.usage
        if counts is not None:
            took += f"  prompt={counts.input_tokens} cached={counts.cached_tokens} output={counts.output_tokens}"
        log.info("%s %s %r %d %s %s", call.id, scope["method"], _shown(call), call.status, took, call.note)


def _failure(routes: tuple[Route, ...]) -> Callable[[OrchError], bytes]:
    """How the dialect of a path renders errors; OpenAI's envelope where the path has no dialect."""
    dialect = next((route.dialect for route in routes if route.dialect), None)
    if dialect is None:
        return envelope.render
    try:
        return load(dialect).failure
    except ImportError:  # the error that is being told may be this one
        return envelope.render


def _shown(call: Call) -> str:
    return call.scope["path"][:100]
