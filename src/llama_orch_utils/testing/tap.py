# SPDX-License-Identifier: Apache-2.0
"""The fake tap: what it answers, and what it was asked."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from llama_orch_utils.account import Pricing
from llama_orch_utils.testing.sample import smallest
from llama_orch_utils.testing.script import Asked, FakeCall, Script
from llama_orch_utils.testing.server import TcpServer, UnixServer

if TYPE_CHECKING:
    import ssl

WAIT_SECONDS = 10.0


class FakeTap:
    """Scripted answers over a real socket.

    Scripts are used up in their order; without one it answers `default`, or, where a schema is asked for, the smallest
    JSON that fits it.

    `socket`: the path of a Unix socket to listen on instead of loopback; `models`: what `/v1/models` lists;
    `capabilities`: what it lists that they can (None: it does not say); `context`: the tokens that it lists for them;
    `counts`: whether it counts tokens; `key`: if given, another one (or none) gets
    401; `tls`: a server's context, and the address is https.

    `pricing`: micro-euros per million tokens (`input`, `cached`, `output`, `embeddings`) of every model; then answers
    tell their `usage.cost`. `balance`: micro-euros of an account, which answers take from; below 1 it is paused (402).
    """

    def __init__(
        self,
        *,
        socket: str | None = None,
        models: tuple[str, ...] = ("fake-model",),
        capabilities: tuple[str, ...] | None = None,
        key: str | None = None,
        tls: ssl.SSLContext | None = None,
        pricing: Mapping[str, int] | None = None,
        balance: int | None = None,
        context: int | None = None,
        counts: bool = True,
    ) -> None:
        self.asked: list[Asked] = []
        self.models = models
        self.capabilities = capabilities
        self.tls = tls
        self.key = key
        self.pricing = None if pricing is None else _pricing(pricing)
        self.balance = balance
        self.context = context
        self.counts = counts
        self.default = Script(("Hello ", "from ", "the ", "fake ", "tap."))
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self._scripts: deque[Script] = deque()
        self._server: TcpServer | UnixServer = TcpServer(self) if socket is None else UnixServer(socket, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="fake-tap", daemon=True)

    @property
    def url(self) -> str:
        """Its base address, `/v1` included."""
        if isinstance(self._server, UnixServer):
            return "http://localhost/v1"
        scheme = "https" if self.tls is not None else "http"
        return f"{scheme}://127.0.0.1:{self.port}/v1"

    @property
    def port(self) -> int:
        """Its TCP port."""
        _, port = cast("tuple[str, int]", self._server.server_address)
        return port

    def script(self, script: Script) -> Self:
        """Do this with the next request that has no script yet."""
        self._scripts.append(script)
        return self

    def answer(self, pieces: str | Iterable[str], **fields: Any) -> Self:
        """Answer with `pieces` (one text is one piece); `fields` are Script's."""
        return self.script(Script((pieces,) if isinstance(pieces, str) else tuple(pieces), **fields))

    def call(self, name: str, arguments: Mapping[str, Any] | str | None = None, **fields: Any) -> Self:
        """Answer with a call of the tool `name`; `fields` are Script's."""
        return self.calls(FakeCall(name, arguments if arguments is not None else {}), **fields)

    def calls(self, *calls: FakeCall, **fields: Any) -> Self:
        """Answer with several calls at once."""
        return self.script(Script(calls=calls, **fields))

    def json(self, value: object, **fields: Any) -> Self:
        """Answer with `value` as JSON, in pieces: what a structured answer is."""
        text = json.dumps(value, ensure_ascii=False)
        return self.answer([text[at : at + 8] for at in range(0, len(text), 8)], **fields)

    def vectors(self, *each: Sequence[float], **fields: Any) -> Self:
        """Answer embeddings with these vectors, one per text."""
        return self.script(Script(vectors=tuple(map(tuple, each)), **fields))

    def scores(self, *each: float, **fields: Any) -> Self:
        """Answer a ranking with these scores, one per document."""
        return self.script(Script(scores=each, **fields))

    def cut(self, *pieces: str, **fields: Any) -> Self:
        """Answer with `pieces`, and break the connection after them."""
        return self.script(Script(pieces, cut=len(pieces), **fields))

    def error(self, status: int, message: str, *, headers: dict[str, str] | None = None, **fields: Any) -> Self:
        """Answer with `status` and OpenAI's error envelope: `message`, and `fields` (code, param, hint, data)."""
        body = json.dumps({"error": {"message": message, **fields}}).encode()
        return self.script(Script(status=status, body=body, headers=headers or {}))

    def next_script(self, asked: Asked) -> Script:
        """Called by the server."""
        with self.changed:
            if self._scripts:
                return self._scripts.popleft()
        form: dict[str, Any] = asked.json.get("response_format") or {}
        if form.get("type") == "json_schema":
            return Script((json.dumps(smallest(form["json_schema"]["schema"])),))
        return self.default

    def charge(self, usage: dict[str, Any]) -> dict[str, Any]:
        """The usage with its cost, which the balance pays; as it is where nothing is charged. Called by the server."""
        if self.pricing is None or "cost" in usage:
            return usage
        details: dict[str, int] = usage.get("prompt_tokens_details") or {}
        cached = details.get("cached_tokens", 0)
        cost = self.pricing.cost(usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0), cached)
        with self.changed:
            if self.balance is not None:
                self.balance -= cost
        return {**usage, "cost": cost}

    def note(self, asked: Asked) -> None:
        """Called by the server."""
        with self.changed:
            if not any(known is asked for known in self.asked):
                self.asked.append(asked)
            self.changed.notify_all()

    def wait_asked(self, number: int = 1, seconds: float = WAIT_SECONDS) -> list[Asked]:
        """Wait until `number` requests have come; AssertionError if they do not within `seconds`."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.asked) >= number, seconds), f"{len(self.asked)} requests came"
            return list(self.asked)

    def wait_left(self, number: int = 1, seconds: float = WAIT_SECONDS) -> None:
        """Wait until the clients of `number` requests have gone away early; AssertionError if they do not."""
        with self.changed:
            assert self.changed.wait_for(lambda: sum(asked.left for asked in self.asked) >= number, seconds), (
                "nobody left"
            )

    def close(self) -> None:
        """Stop; whoever is connected is cut off."""
        self.stopping.set()
        self._server.shutdown()
        self._server.drop_connections()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _pricing(given: Mapping[str, int]) -> Pricing:
    return Pricing(given.get("input", 0), given.get("cached", 0), given.get("output", 0), given.get("embeddings", 0))
