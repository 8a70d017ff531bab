# SPDX-License-Identifier: GPL-3.0-or-later
"""An OpenAI-compatible server that fails on demand, after OpenAI's published contract for chat completions.

https://platform.openai.com/docs/api-reference/chat and …/chat-streaming. It runs in threads of the test's own process
and notes what it was asked. What the request's last message says happens: words of `ORDERS`, with numbers.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

ORDERS = re.compile(r"(tokens|status|break|stop|cut|pause|stall|retry_after|mute|plain|garbage|hang|size)=(\d+)")


@dataclass
class Asked:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class OpenAiServer:
    """`mode` overrides what requests order: `{"status": 500}` fails everything. `gone` counts clients that left,
    `counts` says how it counts prompts: `input_tokens` as llama-server, `count` as vLLM."""

    name: str = "there"
    key: str | None = None
    tls: tuple[Path, Path] | None = None
    port: int = 0
    mode: dict[str, int] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    gone: int = 0
    compact: bool = True
    nulls: bool = False
    counts: tuple[str, ...] = ()
    _server: ThreadingHTTPServer | None = None
    _open: set[socket.socket] = field(default_factory=set)

    @property
    def url(self) -> str:
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://localhost:{self.port}/v1"

    @property
    def chats(self) -> int:
        return sum(each.path.endswith("/chat/completions") for each in self.asked)

    def start(self) -> OpenAiServer:
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._server.daemon_threads = True
        if self.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Dies: nobody listens, and every open connection is reset."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                each.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: OpenAiServer

    number = -1

    def setup(self) -> None:
        super().setup()
        self.owner.connections += 1
        self.owner._open.add(self.connection)

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        self.owner._open.discard(self.connection)

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().handle()

    def log_message(self, *_: Any) -> None:
        return

    def do_POST(self) -> None:
        owner = self.owner
        self.number += 1
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        owner.asked.append(Asked(self.path, headers, body))
        request = json.loads(body)
        orders = _orders(request) | owner.mode
        if owner.key is not None and headers.get("authorization") != f"Bearer {owner.key}":
            self._json(401, {"error": {"message": f"Incorrect API key: {headers.get('authorization')}"}})
        elif orders.get("hang"):
            time.sleep(orders["hang"] / 1000)
            self.close_connection = True
        elif orders.get("mute") or (orders.get("mute_old") and self.number):
            self.close_connection = True
        elif orders.get("cut"):
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99\r\n\r\ndata: {")
            self.close_connection = True
        elif orders.get("garbage"):
            self.wfile.write(b"this is no HTTP at all\r\n\r\n")
            self.close_connection = True
        elif "status" in orders:
            extra = {"retry-after": str(orders["retry_after"])} if "retry_after" in orders else {}
            self._json(orders["status"], {"error": {"message": f"as ordered, by {owner.name}"}}, extra)
        elif self.path.endswith(("/input_tokens", "/tokenize")):
            told = {"/v1/chat/completions/input_tokens": "input_tokens", "/tokenize": "count"}.get(self.path)
            found = {told: 11} if told in self.owner.counts else {"error": {"message": "not found"}}
            self._json(200 if told in self.owner.counts else 404, found)
        elif self.path.endswith("/embeddings"):
            self._embeddings(request, orders)
        elif request.get("stream"):
            self._stream(request, orders)
        else:
            self._answer(request, orders)

    def _embeddings(self, request: Any, orders: dict[str, int]) -> None:
        data = [{"object": "embedding", "index": i, "embedding": [0.5] * orders.get("size", 4)} for i in range(2)]
        usage = {"prompt_tokens": 7, "total_tokens": 7}
        self._json(200, {"object": "list", "model": self.owner.name, "data": data, "usage": usage})

    def _answer(self, request: Any, orders: dict[str, int]) -> None:
        tokens = orders.get("tokens", 3)
        message = {"role": "assistant", "content": " tok" * tokens}
        found = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": self.owner.name,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": _usage(tokens),
        }
        time.sleep(orders.get("pause", 0) / 1000)
        if "break" in orders:
            data = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: orders["break"]])
            self.close_connection = True
            return
        self._json(200, found)

    def _stream(self, request: Any, orders: dict[str, int]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        wanted = (request.get("stream_options") or {}).get("include_usage", False)
        tokens, pause = orders.get("tokens", 3), orders.get("pause", 0) / 1000
        try:
            self._event({"role": "assistant", "content": ""}, null=wanted)
            for number in range(tokens):
                if orders.get("break") == number:
                    self.close_connection = True
                    self.wfile.write(b'40\r\ndata: {"id":"chatcmpl-1","object":"chat.comp')
                    return
                if orders.get("stop") == number:
                    self._write(b"")
                    return
                if orders.get("stall") == number:
                    time.sleep(30)
                time.sleep(pause)
                self._event({"content": f" t{number}"}, null=wanted)
            self._event({}, finish="stop", null=wanted)
            if wanted:
                self._chunk({"choices": [], "usage": _usage(tokens)})
            if not orders.get("plain"):
                self._write(b"data: [DONE]\n\n")
            self._write(b"")
        except OSError:
            self.owner.gone += 1
            self.close_connection = True

    def _event(self, delta: Any, finish: str | None = None, *, null: bool = False) -> None:
        more = {"usage": None} if null and self.owner.nulls else {}
        self._chunk({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]} | more)

    def _chunk(self, members: Any) -> None:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": self.owner.name}
        separators = (",", ":") if self.owner.compact else None
        self._write(b"data: " + json.dumps(head | members, separators=separators).encode() + b"\n\n")

    def _write(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def _json(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in ({"content-type": "application/json"} | (headers or {})).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _orders(request: Any) -> dict[str, int]:
    messages = request.get("messages") or [{"content": request.get("prompt") or request.get("input") or ""}]
    last = messages[-1].get("content")
    return {word: int(number) for word, number in ORDERS.findall(last if isinstance(last, str) else "")}


def _usage(tokens: int) -> dict[str, Any]:
    return {
        "prompt_tokens": 11,
        "completion_tokens": tokens,
        "total_tokens": 11 + tokens,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
