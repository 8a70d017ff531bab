# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake tap on a real socket."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RIGHT_KEY = "sk-canary-Right-0123456789"
WRONG_KEY = "sk-canary-Wrong-0123456789"
MODELS = {"object": "list", "data": [{"id": "big-model", "object": "model", "owned_by": "somebody"}]}


class FakeTap(ThreadingHTTPServer):
    """`GET /v1/models` of the OpenAI API: 401 without the right key, 402 where the path starts with /poor."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: FakeTap

    def do_GET(self) -> None:
        if self.path == "/.well-known/llama-orch":  # what `orch target add` asks once; this one describes nothing
            self._answer(404, {})
            return
        self.server.asked.append(self.path)
        if self.path.startswith("/poor"):
            envelope = {
                "error": {"message": "the balance is 0.00 EUR", "type": "payment", "code": "insufficient_credits"}
            }
            self._answer(402, envelope)
        elif self.headers.get("Authorization") != f"Bearer {RIGHT_KEY}":
            self._answer(401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}})
        else:
            self._answer(200, MODELS)

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """The test's output is not the place."""
