# SPDX-License-Identifier: Apache-2.0
"""`python -m llama_orch_utils.applets.host ID`: an applet in a process of its own, as an MCP server over stdio.

Whoever runs it may say in a call's `_meta` (`llama-orch`) what the run gets: `target`, `key`, `model`, `max_cost`
(micro-euros), `reads` and `writes` (paths), `brand`, `repeat`. `once`: its key is for this run, nothing of it is kept;
`tell_end`: it wants to hear when a run has ended that was cancelled.
What the applet prints goes to stderr: stdout is MCP's.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from llama_orch_utils.applets import rpc
from llama_orch_utils.errors import AppletError, BadRequest, OrchError

if TYPE_CHECKING:
    from llama_orch_utils.applets.schema import Runnable
    from llama_orch_utils.client.blocking import Client

_THREADS, _MOST_CLIENTS = 64, 32
_USAGE = 2
_Reached = tuple[str | None, str | None, str | None]
"""Target, key and model."""


class Clients:
    """Open clients by target, key and model, so that a warm call needs no new connection."""

    def __init__(self) -> None:
        self._open: OrderedDict[_Reached, Client] = OrderedDict()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def lent(self, given: Mapping[str, Any]) -> Generator[Client]:
        """The client for what a call's `_meta` says; with `once` it is closed after the run."""
        if given.get("once"):
            with _client(*_reached(given)) as client:
                yield client
        else:
            yield self._get(_reached(given))

    def _get(self, wanted: _Reached) -> Client:
        with self._lock:
            found = self._open.pop(wanted, None)
            if found is None:
                found = _client(*wanted)
            self._open[wanted] = found
            if len(self._open) > _MOST_CLIENTS:
                self._open.popitem(last=False)
        return found


class Host:
    """Answers what comes over `source` to `sink`, until `source` ends."""

    def __init__(self, applet: Runnable, source: BinaryIO, sink: BinaryIO) -> None:
        self._applet, self._source, self._sink = applet, source, sink
        self._clients, self._lock = Clients(), threading.Lock()
        self._cancelled: set[Any] = set()
        self._threads = ThreadPoolExecutor(_THREADS, "applet")

    def serve(self) -> None:
        """Reads messages; each run has a thread."""
        while raw := self._source.readline(rpc.MOST_LINE):
            if not raw.strip():
                continue
            try:
                message = json.loads(raw)
            except ValueError:
                self._send({"id": None, "error": {"code": rpc.PARSE_ERROR, "message": "that line is no JSON"}})
                continue
            if isinstance(message, dict):
                self._take(cast("rpc.Json", message))
            else:
                self._refuse(None, rpc.INVALID_REQUEST, "a message is an object")
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _take(self, message: rpc.Json) -> None:
        identity, method = message.get("id"), message.get("method")
        raw = message.get("params")
        params = cast("rpc.Json", raw) if isinstance(raw, dict) else {}
        match method:
            case "initialize":
                self._answer(identity, self._hello(params))
            case "ping":
                self._answer(identity, {})
            case "tools/list":
                self._answer(identity, {"tools": [self._tool()]})
            case "tools/call" if params.get("name") == self._applet.id:
                self._threads.submit(self._call, identity, params)
            case "tools/call":
                self._refuse(identity, rpc.INVALID_PARAMS, f"there is no tool {params.get('name')!r}")
            case "notifications/cancelled":
                self._cancelled.add(params.get("requestId"))
            case _ if identity is not None and method is not None:
                self._refuse(identity, rpc.NO_METHOD, f"{method} is not served")
            case _:
                pass  # a notification that means nothing to a server of tools, or the answer to no question of ours

    def _hello(self, params: rpc.Json) -> rpc.Json:
        asked = params.get("protocolVersion")
        return {
            "protocolVersion": asked if asked in rpc.VERSIONS else rpc.VERSIONS[0],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": self._applet.id, "version": self._applet.manifest.version},
        }

    def _tool(self) -> rpc.Json:
        found = self._applet.schema()
        return {
            "name": self._applet.id,
            "description": found["summary"],
            "inputSchema": found["input"],
            "outputSchema": found["output"],
            "_meta": {rpc.META: {"manifest": rpc.on_paper(self._applet.manifest)}},
        }

    def _call(self, identity: Any, params: rpc.Json) -> None:
        try:
            result = self._run(params)
        except OrchError as error:
            words = error.message if error.hint is None else f"{error.message}\nhint: {error.hint}"
            told = {rpc.META: {"error": rpc.said(error)}}
            result = {"content": [{"type": "text", "text": words}], "isError": True, "_meta": told}
        except Exception as error:  # noqa: BLE001 - a defect of ours must not leave the caller waiting
            words = f"the host met a defect of its own: {type(error).__name__}: {error}"
            result = {"content": [{"type": "text", "text": words}], "isError": True}
        if identity not in self._cancelled:
            self._answer(identity, result)
        elif _given(params).get("tell_end"):
            self._send({"method": rpc.ENDED, "params": {"requestId": identity}})
        self._cancelled.discard(identity)

    def _run(self, params: rpc.Json) -> rpc.Json:
        given = _given(params)
        arguments: Any = params.get("arguments") or {}
        if not isinstance(arguments, dict):
            raise BadRequest("arguments must be an object", param="/")
        from llama_orch_utils.applets.files import Files

        files = Files(*([Path(each) for each in given.get(name, ())] for name in ("reads", "writes")))
        with self._clients.lent(given) as client:
            made = self._applet.invoke(
                cast("rpc.Json", arguments),
                client=client,
                files=files,
                progress=self._progress(_meta(params).get("progressToken")),
                brand=given.get("brand"),
                max_cost=given.get("max_cost"),
                repeat=given.get("repeat"),
            )
        return {
            "content": [{"type": "text", "text": made.text}],
            "structuredContent": made.output,
            "_meta": {rpc.META: {"cost": made.cost}},
        }

    def _progress(self, token: Any) -> Any:
        def tell(done: int, total: int, words: str) -> None:
            if token is not None:
                told = {"progressToken": token, "progress": done, "total": total, "message": words}
                self._send({"method": "notifications/progress", "params": told})

        return tell

    def _answer(self, identity: Any, result: rpc.Json) -> None:
        if identity is not None:
            self._send({"id": identity, "result": result})

    def _refuse(self, identity: Any, code: int, words: str) -> None:
        self._send({"id": identity, "error": {"code": code, "message": words}})

    def _send(self, message: rpc.Json) -> None:
        with self._lock:
            self._sink.write(rpc.line(message))
            self._sink.flush()


def _given(params: rpc.Json) -> rpc.Json:
    """What ours stands in a call's `_meta`."""
    return cast("rpc.Json", _meta(params).get(rpc.META) or {})


def _reached(given: Mapping[str, Any]) -> _Reached:
    return given.get("target"), given.get("key"), given.get("model")


def _client(target: str | None, key: str | None, model: str | None) -> Client:
    from llama_orch_utils.client.blocking import Client

    return Client(target, key=key, model=model)


def _meta(params: rpc.Json) -> rpc.Json:
    return cast("rpc.Json", params.get("_meta") or {})


def main(words: list[str]) -> int:
    """Hosts the applet that the one word names. 2: there is none, or it cannot be loaded."""
    wire = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the applet prints, and its children
    from llama_orch_utils.applets.discovery import load

    name = words[0] if len(words) == 1 else ""
    found = load(name) if name else None
    if found is None or found.applet is None:
        error = found.error if found is not None else AppletError(f"there is no applet {name!r}")
        sys.stderr.write(f"error: {error.message if error else name}\n")
        return _USAGE
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):  # whoever ran it has gone
        Host(found.applet, sys.stdin.buffer, wire).serve()
        wire.close()
    sys.stderr.flush()
    os._exit(0)  # a run that hangs must not keep the process


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
