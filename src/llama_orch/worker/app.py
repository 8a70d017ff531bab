# SPDX-License-Identifier: GPL-3.0-or-later
"""The ASGI application: routes, request ids, errors as answers, one log line per request."""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Awaitable, Callable

from llama_orch.wire import envelope, models
from llama_orch.wire.routes import Job, Route, load, matching
from llama_orch.worker.exchange import INLINE_BODY, Exchange
from llama_orch.worker.gate import Gate
from llama_orch.worker.replies import ClientGone, Receive, Scope, Send, header, read_body, reply
from llama_orch.worker.service import Service
from llama_orch.worker.translation import prompt_tokens
from llama_orch_utils.errors import BadRequest, OrchError, RequestError

log = logging.getLogger("llama_orch.worker")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_OK, _UNAVAILABLE, _NO_CLIENT = 200, 503, 499


class Call:
    """One HTTP request on its way: `status` is what was answered, `note` what the log says besides."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = header(scope, b"x-orch-request-id")
        self.id = given.decode() if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(12)
        self.headers = [(b"x-orch-request-id", self.id.encode())]
        self.scope, self.receive = scope, receive
        self.status = 0
        self.note = ""
        self.exchange: Exchange | None = None
        self._send = send

    async def send(self, message: Scope) -> None:
        """Sends, and remembers the status."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    async def reply(self, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        """A whole JSON answer with the request's id."""
        await reply(self.send, status, body, [*self.headers, *(headers or [])])


class App:
    """The worker's side of the wire protocol."""

    def __init__(self, service: Service, gate: Gate) -> None:
        self._service = service
        self._gate = gate
        self._jobs: dict[Job, Callable[[Call, Route], Awaitable[None]]] = {
            "health": self._health,
            "models": self._models,
            "model": self._model,
            "generate": self._generate,
            "count": self._count,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI scope; everything that goes wrong becomes an answer here."""
        if scope["type"] != "http":
            return
        call = Call(scope, receive, send)
        begun = self._service.loop.time()
        try:
            await self._dispatch(call)
        except ClientGone:
            call.status, call.note = _NO_CLIENT, "client gone"
        except OrchError as error:
            await self._refuse(call, error)
        except Exception:
            log.exception("%s: a defect of llama-orch", call.id)
            await self._refuse(call, OrchError("the worker met a defect of its own; its log tells", code="internal"))
        self._log(call, self._service.loop.time() - begun)

    async def _dispatch(self, call: Call) -> None:
        self._gate.check(call.scope)
        path: str = call.scope["path"]
        routes = matching(path)
        if not routes:
            raise RequestError(f"there is no {path[:100]} here", code="unknown_path", status=404)
        for route in routes:
            if route.method == call.scope["method"]:
                await self._jobs[route.job](call, route)
                return
        allowed = ", ".join(route.method for route in routes)
        error = RequestError(f"{path[:100]} answers only {allowed}", code="method_not_allowed", status=405)
        call.note = error.code
        await call.reply(405, envelope.render(error), [(b"allow", allowed.encode())])

    async def _refuse(self, call: Call, error: OrchError) -> None:
        call.note = error.code
        if call.status:  # the answer has begun and cannot become another one: end it short of its end
            return
        headers = envelope.headers(error)
        if error.status in {408, 413}:  # the rest of the body is not wanted
            headers.append((b"connection", b"close"))
        await call.reply(error.status, envelope.render(error), headers)

    async def _health(self, call: Call, route: Route) -> None:  # noqa: ARG002 - one signature for all jobs
        wish = header(call.scope, b"x-orch-keep-alive")
        if wish is not None:
            self._service.lifetime.touch(_seconds(wish))
        status = _OK if self._service.phase == "ready" else _UNAVAILABLE
        await call.reply(status, json.dumps(self._service.health()).encode())

    async def _models(self, call: Call, route: Route) -> None:  # noqa: ARG002
        await call.reply(_OK, models.listing([self._service.entry()]))

    async def _model(self, call: Call, route: Route) -> None:
        self._service.check_model(call.scope["path"][len(route.path) - 1 :])
        await call.reply(_OK, models.one(self._service.entry()))

    async def _generate(self, call: Call, route: Route) -> None:
        async def answer(body: bytes) -> None:
            call.exchange = Exchange(self._service, load(route.dialect), call.scope, call.send, call.id, call.headers)
            await call.exchange.run(body, call.receive)

        await self._admitted(call, answer)

    async def _count(self, call: Call, route: Route) -> None:
        dialect = load(route.dialect)

        def count(body: bytes) -> int:
            generation = dialect.parse(body)
            self._service.check_model(generation.model)
            return len(prompt_tokens(self._service.engine, generation.prompt))

        async def answer(body: bytes) -> None:
            if len(body) <= INLINE_BODY:
                tokens = count(body)
            else:
                tokens = await self._service.loop.run_in_executor(self._service.preparation, count, body)
            await call.reply(_OK, dialect.count(tokens))

        await self._admitted(call, answer)

    async def _admitted(self, call: Call, answer: Callable[[bytes], Awaitable[None]]) -> None:
        service = self._service
        _ = service.engine  # raises while there is none: nobody waits here for a model to load
        service.admission.enter()
        service.lifetime.begin()
        begun = service.loop.time()
        try:
            await answer(await read_body(call.scope, call.receive, service.options.max_body))
        finally:
            service.admission.leave(service.loop.time() - begun)
            service.lifetime.finish()

    def _log(self, call: Call, seconds: float) -> None:
        scope = call.scope
        if scope["path"] == "/health" and call.status == _OK:
            return
        usage, note = "", call.note
        if call.exchange is not None:
            counts = call.exchange.usage
            usage = f" prompt={counts.input_tokens} cached={counts.cached_tokens} output={counts.output_tokens}"
            note = note or call.exchange.outcome
        path = scope["path"][:100]
        log.info("%s %s %r %d %.0fms%s %s", call.id, scope["method"], path, call.status, seconds * 1e3, usage, note)


def _seconds(wish: bytes) -> float:
    try:
        seconds = float(wish)
    except ValueError:
        seconds = float("nan")
    if seconds != seconds:  # noqa: PLR0124 - not a number
        raise BadRequest("x-orch-keep-alive must be a number of seconds")
    return seconds
