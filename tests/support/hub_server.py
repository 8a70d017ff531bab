# SPDX-License-Identifier: GPL-3.0-or-later
"""A hub of our own on loopback, written from the Hugging Face Hub's published HTTP contract, with faults on demand.

Sources: https://huggingface.co/docs/hub/api (`/api/models/{repo}[/revision/{rev}]?blobs=true`), and what its reference
client sends and reads: `X-Repo-Commit`, `X-Linked-Etag`, `X-Linked-Size` on a 302 of `/{repo}/resolve/{rev}/{file}`
to a storage host with signed addresses, byte ranges there, `X-Error-Code` and `X-Error-Message` on refusals (401 for
what is missing as well as for what is private, `GatedRepo` with 401 or 403).

There are two servers, hub and storage, so two origins: what must not travel from one to the other can be seen.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

Where = Literal["api", "resolve", "storage", "plain"]
_LFS_BYTES = 1024  # what is smaller lies in git itself, as on the hub (there it is some MB)
_CHUNK = 64 * 1024


@dataclass
class Repo:
    """One repository at one commit; `token` is what a private one asks for, `accepted` the tokens of a gated one."""

    name: str
    files: dict[str, bytes]
    licence: str | None = "apache-2.0"
    gated: bool = False
    token: str | None = None
    accepted: set[str] = field(default_factory=set[str])

    @property
    def commit(self) -> str:
        """Changes with the content, as git's does."""
        seen = hashlib.sha1()
        for name, data in sorted(self.files.items()):
            seen.update(name.encode() + hashlib.sha256(data).digest())
        return seen.hexdigest()


@dataclass
class Fault:
    """What goes wrong, `times` times, at a place: `status`, or a body that is cut, stalls, is longer or changed.

    `after` bytes of the body are sent first; `stall` seconds are then waited; `header` replaces answer headers.
    """

    where: Where
    times: int = 1
    status: int | None = None
    cut: bool = False
    after: int = 0
    stall: float = 0.0
    flip: bool = False
    length: int | None = None
    location: str | None = None
    header: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None
    file: str = ""


@dataclass
class Seen:
    """One request: where, how, its headers, and how many bytes of the body went out."""

    where: Where
    method: str
    path: str
    headers: dict[str, str]
    sent: int = 0
    status: int = 0

    @property
    def start(self) -> int:
        """Where its range begins; 0 without one."""
        found = re.match(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(found[1]) if found else 0


class Hub:
    """The two servers. `endpoint` is HF_ENDPOINT; `rate` slows bodies to bytes per second (0: as fast as it goes).

    `ranges`: whether there are any; `direct`: the hub sends large files itself, as some mirrors do; `tls` makes both
    https.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.repos: dict[str, Repo] = {}
        self.plain: dict[str, bytes] = {}
        self.plain_headers: dict[str, str] = {"ETag": '"1"'}
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.rate = 0
        self.ranges = True
        self.direct = False
        self.on_bytes: Callable[[int], None] | None = None
        self._signature = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._scheme = "https" if tls else "http"
        self._hub = _server(self, "hub", tls)
        self._storage = _server(self, "storage", tls)

    @property
    def endpoint(self) -> str:
        """The hub's address."""
        return f"{self._scheme}://127.0.0.1:{self._hub.server_address[1]}"

    @property
    def storage(self) -> str:
        """The address of the storage host: another origin."""
        return f"{self._scheme}://127.0.0.1:{self._storage.server_address[1]}"

    def add(self, name: str, files: dict[str, bytes], **how: Any) -> Repo:
        """A repository."""
        self.repos[name] = Repo(name, files, **how)
        return self.repos[name]

    def fail(self, where: Where, **how: Any) -> Fault:
        """Plan a fault."""
        self.faults.append(Fault(where, **how))
        return self.faults[-1]

    def requests(self, where: Where) -> list[Seen]:
        """What came to a place, in order."""
        return [each for each in self.seen if each.where == where]

    def bytes_sent(self) -> int:
        """How many bytes of files went out, ever."""
        return sum(each.sent for each in self.seen if each.where in {"storage", "plain"} or self.direct)

    def take(self, where: Where, path: str) -> Fault | None:
        """The next fault for a place, used up by one."""
        with self._lock:
            for fault in self.faults:
                if fault.where == where and fault.times > 0 and fault.file in path:
                    fault.times -= 1
                    return fault
        return None

    def signed(self, digest: str) -> str:
        """An address at the storage host that holds for its bearer."""
        return f"{self.storage}/{digest}?signature={self._signature}"

    def blob(self, path: str) -> bytes | None:
        """The bytes behind a signed address, or None if the signature or the digest is not known."""
        parts = urlsplit(path)
        if parse_qs(parts.query).get("signature") != [self._signature]:
            return None
        wanted = parts.path.strip("/")
        for repo in self.repos.values():
            for data in repo.files.values():
                if hashlib.sha256(data).hexdigest() == wanted:
                    return data
        return None

    def __enter__(self) -> Self:
        for server in (self._hub, self._storage):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._hub, self._storage):
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    hub: Hub
    part: str

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed in the middle is what these tests do."""


def _server(hub: Hub, part: str, tls: ssl.SSLContext | None) -> _Server:
    server = _Server(("127.0.0.1", 0), _Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.hub, server.part = hub, part
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    record: Seen

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Quiet."""

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def _serve(self) -> None:
        path = unquote(urlsplit(self.path).path)
        where: Where = "storage" if self.server.part == "storage" else "api" if path.startswith("/api/") else "resolve"
        if where == "resolve" and "/resolve/" not in path:
            where = "plain"
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.record = Seen(where, self.command, self.path, headers)
        self.server.hub.seen.append(self.record)
        fault = self.server.hub.take(where, path)
        if fault and fault.location:
            self._answer(302, {"Location": fault.location, **fault.header})
        elif fault and fault.status:
            self._answer(fault.status, fault.header, fault.body or b"it is broken")
        else:
            getattr(self, f"_{where}")(path, fault)

    # The hub itself

    def _api(self, path: str, fault: Fault | None) -> None:
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+?)(?:/revision/(.+))?", path)
        repo = self._allowed(found[1]) if found else self._refuse(404, "", "no such route")
        if repo is None or found is None:
            return
        if found[2] not in (None, "main", repo.commit):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {found[2]}")
            return
        body = fault.body if fault and fault.body is not None else json.dumps(_described(repo)).encode()
        self._answer(200, {"Content-Type": "application/json", **(fault.header if fault else {})}, body)

    def _resolve(self, path: str, fault: Fault | None) -> None:
        found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        repo = self._allowed(found[1]) if found else self._refuse(404, "", "no such route")
        if repo is None or found is None or not self._entitled(repo):
            return
        if found[2] not in {"main", repo.commit}:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {found[2]}")
        elif (data := repo.files.get(found[3])) is None:
            self._refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": repo.commit})
        else:
            self._resolved(repo, data, fault)

    def _resolved(self, repo: Repo, data: bytes, fault: Fault | None) -> None:
        digest = hashlib.sha256(data).hexdigest()
        if len(data) < _LFS_BYTES or self.server.hub.direct:
            self._body(data, {"ETag": f'"{_git_digest(data)}"', "X-Repo-Commit": repo.commit}, fault)
            return
        headers = {
            "Location": self.server.hub.signed(digest),
            "X-Repo-Commit": repo.commit,
            "X-Linked-Size": str(len(data)),
            "X-Linked-Etag": f'"{digest}"',
            "ETag": f'"{digest}"',
            "Accept-Ranges": "bytes",
        }
        self._answer(302, {**headers, **(fault.header if fault else {})}, b"Found. Redirecting")

    def _allowed(self, name: str) -> Repo | None:
        repo, token = self.server.hub.repos.get(name), self._token()
        if token == "wrong":
            self._refuse(401, "", "Invalid credentials in Authorization header")
            return None
        if repo is None or (repo.token is not None and token != repo.token):
            status = 401 if token is None else 404
            self._refuse(status, "RepoNotFound", "Repository not found" if token else "Invalid username or password.")
            return None
        return repo

    def _entitled(self, repo: Repo) -> bool:
        if not repo.gated or self._token() in repo.accepted:
            return True
        words = f"Access to model {repo.name} is restricted."
        self._refuse(401 if self._token() is None else 403, "GatedRepo", words)
        return False

    def _token(self) -> str | None:
        return self.headers.get("Authorization", "").removeprefix("Bearer ") or None

    # The storage host, and plain files as any web server has them

    def _storage(self, path: str, fault: Fault | None) -> None:
        data = self.server.hub.blob(self.path)
        if data is None:
            self._answer(403, {"Content-Type": "application/xml"}, b"<Error><Code>AccessDenied</Code></Error>")
            return
        self._body(data, {"ETag": f'"{hashlib.md5(data).hexdigest()}"'}, fault)

    def _plain(self, path: str, fault: Fault | None) -> None:
        data = self.server.hub.plain.get(path)
        if data is None:
            self._answer(404, {}, b"not found")
            return
        self._body(data, self.server.hub.plain_headers, fault)

    def _body(self, data: bytes, headers: dict[str, str], fault: Fault | None) -> None:
        """A file or a range of it, slowed, and with what is planned to go wrong."""
        if fault and fault.flip:
            data = data[: fault.after] + bytes([data[fault.after] ^ 1]) + data[fault.after + 1 :]
        start, total = self.record.start, len(data)
        wanted = "range" in self.record.headers and self.server.hub.ranges
        if wanted and self.record.headers.get("if-range") not in (None, headers.get("ETag")):
            wanted = False
        start = start if wanted else 0
        if wanted and start >= total:
            self._answer(416, {"Content-Range": f"bytes */{total}"})
            return
        ends = re.fullmatch(r"bytes=\d+-(\d+)", self.record.headers.get("range", "")) if wanted else None
        part = data[start : int(ends[1]) + 1 if ends else total]
        headers = {**headers, "Content-Length": str(len(part))}
        if self.server.hub.ranges:
            headers["Accept-Ranges"] = "bytes"
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{total}"
        if fault:
            headers |= fault.header
            if fault.length is not None:
                headers["Content-Length"] = str(fault.length)
        self._head(206 if wanted else 200, headers)
        if self.command != "HEAD":
            self._send(part, fault)

    def _send(self, part: bytes, fault: Fault | None) -> None:
        breaks = fault is not None and (fault.cut or fault.stall > 0)
        limit = fault.after if fault and breaks else len(part)
        for place in range(0, min(limit, len(part)), _CHUNK):
            piece = part[place : min(place + _CHUNK, limit)]
            self.wfile.write(piece)
            self.record.sent += len(piece)
            if self.server.hub.on_bytes:
                self.server.hub.on_bytes(len(piece))
            if self.server.hub.rate:
                time.sleep(len(piece) / self.server.hub.rate)
        if fault and fault.stall:
            self._stall(fault.stall)
        if breaks or (fault and fault.length is not None):
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def _stall(self, seconds: float) -> None:
        """Says nothing until the client goes, at most so long."""
        self.connection.settimeout(seconds)
        with contextlib.suppress(OSError):
            self.connection.recv(1)

    def _refuse(self, status: int, code: str, words: str, headers: dict[str, str] | None = None) -> None:
        extra = {"X-Error-Message": words, **({"X-Error-Code": code} if code else {}), **(headers or {})}
        self._answer(status, extra, json.dumps({"error": words}).encode())

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self._head(status, {"Content-Length": str(len(body)), **headers})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.record.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _described(repo: Repo) -> dict[str, Any]:
    siblings: list[dict[str, Any]] = []
    for name, data in repo.files.items():
        entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": _git_digest(data)}
        if len(data) >= _LFS_BYTES:
            entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        siblings.append(entry)
    return {
        "_id": "0", "id": repo.name, "modelId": repo.name, "sha": repo.commit, "private": repo.token is not None,
        "gated": "manual" if repo.gated else False, "disabled": False, "tags": ["gguf"], "downloads": 0, "likes": 0,
        "cardData": {"license": repo.licence} if repo.licence else {}, "siblings": siblings,
    }  # fmt: skip


def _git_digest(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextlib.contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub until the block ends."""
    with Hub() as hub:
        yield hub


def address_of(hub: Hub, path: str) -> str:
    """A plain file's address at the hub's host."""
    return f"{hub.endpoint}{quote(path)}"
