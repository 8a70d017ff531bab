# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's ASGI application: lets requests in, finds their route, and makes an answer of whatever goes wrong."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

from llama_orch.tap import nearby, routes
from llama_orch.tap.body import Intake
from llama_orch.tap.call import Call, ClientGone, Receive, Scope, Send
from llama_orch.tap.cors import Cors
from llama_orch.tap.gate import Gate
from llama_orch.tap.neighbours import is_near
from llama_orch.tap.routes import TapRoute
from llama_orch.tap.tap import Tap
from llama_orch.wire import envelope
from llama_orch.wire.routes import load as load_dialect
from llama_orch_utils.errors import AppletError, ConfigError, OrchError, RequestError

log = logging.getLogger("llama_orch.tap")

_NO_CLIENT = 499
_ERROR, _NOT_FOUND = 400, 404
_LINGER = 1.0
_FORMS = {"/v1/messages": "llama_orch.wire.messages:DIALECT", "/api/": "llama_orch.wire.ollama_chat:DIALECT"}
"""The dialect in which an error is said where no route is known, by how the path begins."""
_WITHIN = {
    "ledger_away": "the ledger does not answer",
    "ledger_damaged": "the ledger refuses what has to be written",
}


class App:
    """Composed of the parts that `process` made."""

    def __init__(self, tap: Tap, gate: Gate, cors: Cors) -> None:
        self._tap, self._gate, self._cors = tap, gate, cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI scope. Never raises: what goes wrong becomes an answer here."""
        if scope["type"] != "http":
            return
        call = Call(scope, receive, send)
        begun = time.monotonic()
        connection = call.connection
        if connection is not None:
            connection.calls.add(call)
        self._tap.calls.add(call)
        try:
            await self._answer(call)
        finally:
            self._tap.calls.discard(call)
            call.task = None  # a circle otherwise, and work for the garbage collector after every request
            if connection is not None:
                connection.calls.discard(call)
            if call.intake is not None:
                call.intake.release()
        if self._tap.admission is not None and not call.handed_on and not _is_inquiry(call):
            self._tap.admission.log.write(call, time.monotonic() - begun)
        if log.isEnabledFor(logging.INFO):
            spent = (time.monotonic() - begun) * 1e3
            log.info("%s %s %r %d %.0fms", call.id, scope["method"], call.path[:100], call.status, spent)

    async def _answer(self, call: Call) -> None:
        try:
            await self._dispatch(call)
        except ClientGone:
            call.status = _NO_CLIENT
        except asyncio.CancelledError:
            error = call.take_ending()
            if error is not None:
                await self._refuse(call, error)
            elif call.gone:
                call.status = _NO_CLIENT
            else:
                raise
        except OrchError as error:
            await self._refuse(call, error)
        except Exception:
            log.exception("%s: a defect of llama-orch", call.id)
            await self._refuse(call, OrchError("the gateway met a defect of its own; its log tells", code="internal"))

    async def _dispatch(self, call: Call) -> None:
        found = self._tap.routes.matching(call.path)
        method: str = call.scope["method"]
        if found:
            # A HEAD is a GET whose body the server leaves out (RFC 9110, 9.3.2).
            meant = (method, "GET") if method == "HEAD" else (method,)
            call.route = next((route for each in meant for route in found if route.method == each), None) or found[0]
        self._gate.check_site(call)
        self._cors.mark(call)
        if method == "OPTIONS" and found and b"origin" in call.headers:
            await self._cors.preflight(call, _methods(found))
            return
        if not (call.route is not None and call.route.public):
            gate = self._gate
            call.client = gate.check_key(call) if gate.authority is None else await gate.identify(call)
        if call.route is None:
            raise nearby.refusal(call.path, self._tap.routes)
        if call.route.method != method and (method, call.route.method) != ("HEAD", "GET"):
            call.fixed.append((b"allow", _methods(found)))
            words = _methods(found).decode()
            raise RequestError(f"{call.path[:100]} answers only {words}", code="method_not_allowed", status=405)
        call.argument = routes.argument(call.route, call.path)
        forms = call.path.startswith("/api/")
        call.intake = Intake(call.headers, self._tap.options, self._tap.held, forms=forms)
        handler, admission = routes.load(call.route.handler), self._tap.admission
        if admission is None:
            await handler(self._tap, call)
        else:
            await admission.answer(handler, call)

    async def _refuse(self, call: Call, error: OrchError) -> None:
        connection = call.connection
        if call.status:  # the answer has begun and cannot become another one: end it short of its end
            if connection is not None and not call.finished:
                connection.transport.abort()
            return
        error = _outward(call, error)
        error.request_id = error.request_id or call.id
        headers = envelope.headers(error)
        heard = connection is None or await connection.heard_all(_LINGER)
        if not heard or error.code == "malformed_http":
            headers.append((b"connection", b"close"))
        await call.reply(error.status, _rendered(call, error), headers)


def _outward(call: Call, error: OrchError) -> OrchError:
    """What ails the server itself names its files and machines: the log tells, a client hears that it is so."""
    operators = call.route is not None and (call.route.operator or call.path.startswith("/admin/"))
    applets = isinstance(error, AppletError) and _names_a_place(error.message)
    if operators or not (applets or isinstance(error, ConfigError) or error.code in _WITHIN):
        return error
    log.error("%s: %s%s", call.id, error.message, f" ({error.hint})" if error.hint else "")
    words = "the applet failed" if applets else _WITHIN.get(error.code, "the server is not set up as it must be")
    return OrchError(words, code=error.code, status=error.status, hint="its operator finds the reason in its log")


def _names_a_place(words: str) -> bool:
    return any(place in words for place in _places())


@cache
def _places() -> tuple[str, ...]:
    """Where programs and their files lie on this machine: an applet's traceback may name them."""
    from llama_orch_utils.config import paths

    found = (Path.home(), sys.prefix, sys.base_prefix, tempfile.gettempdir(), paths.data_dir(), paths.cache_dir())
    return tuple(f"{each}{os.sep}" for each in found if len(str(each)) > 1)


def _is_inquiry(call: Call) -> bool:
    """Whether another process only asked for what is not here either."""
    return call.status == _NOT_FOUND and is_near(call)


def _methods(found: tuple[TapRoute, ...]) -> bytes:
    return ", ".join(dict.fromkeys(route.method for route in found)).encode()


def _rendered(call: Call, error: OrchError) -> bytes:
    dialect = call.route.dialect if call.route is not None else ""
    if not dialect:
        dialect = next((name for start, name in _FORMS.items() if call.path.startswith(start)), "")
    return load_dialect(dialect).failure(error) if dialect else envelope.render(error)
