# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may come in: the Host and Origin of a request, then its key.

Against web pages: a page that rebinds its own name to this machine (DNS rebinding) sends that name as Host, and a page
of another site sends its Origin, or at least Sec-Fetch-Site. Both are refused unless they are on a list. Against
everybody else: a key, compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING

from llama_orch.tap.call import Call, Client
from llama_orch.tap.neighbours import PEER, is_near
from llama_orch.tap.settings import ServeOptions
from llama_orch_utils.errors import BadRequest, ConfigError, NotAllowed, NotAuthorised

if TYPE_CHECKING:
    from llama_orch.tap.authority import Authority
    from llama_orch.tap.cors import Cors

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::\d{1,5})?")
_ALLOWED = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9_.-]+")
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|\[::1\]")
_NAME = re.compile(r"[\x21-\x7e]{1,64}")
_SINGLE = (b"host", b"origin", b"authorization", b"x-api-key", b"content-type")
_ELSEWHERE = (b"cross-site", b"same-site")


class Gate:
    """`check_site` and `check_key` let a request in or raise. `key` None: none is needed.

    With an `authority` it is that which knows the keys: then `identify` takes the place of `check_key`. Raises
    ConfigError for an allowed host that no Host header could name.
    """

    def __init__(
        self,
        options: ServeOptions,
        key: str | None,
        cors: Cors,
        *,
        loopback: bool,
        authority: Authority | None = None,
    ) -> None:
        self.authority = authority
        self._names = {options.host.lower(), *(_allowed(name) for name in options.hosts)}
        self._loopback = loopback
        if not loopback:
            self._names.add(socket.gethostname().lower())
        self._cors = cors
        self._digest = None if key is None else hashlib.sha256(key.encode()).digest()
        self._key_id = "" if key is None else hashlib.sha256(b"id:" + key.encode()).hexdigest()[:12]

    def check_site(self, call: Call) -> None:
        """Raises NotAllowed for a foreign Host or Origin, BadRequest where Host is missing or given twice."""
        if len(call.headers) != len(call.scope["headers"]):
            _check_single(call)
        given = call.headers.get(b"host")
        if given is None:
            raise BadRequest("the request has no Host header", code="malformed_http")
        host = given.decode("latin-1").lower()
        if not self._is_ours(host):
            raise NotAllowed(
                f"the Host header names {host[:100]!r}, which is not this server",
                hint="call it by its address, or start it with --allow-host NAME",
                code="host_not_allowed",
            )
        origin = call.headers.get(b"origin")
        if origin is None:
            self._check_fetch(call)
        elif not self._cors.allows(origin) and not _is_same(origin, host, call.scope["scheme"]):
            raise _foreign(origin.decode("latin-1")[:100])

    def check_key(self, call: Call) -> Client:
        """Who asks. Raises NotAuthorised for a missing or a wrong key."""
        peer = call.scope.get("client")
        host = str(peer[0]) if peer else ""
        name = call.headers.get(b"x-orch-client", b"").decode("latin-1")
        name = name if _NAME.fullmatch(name) else ""
        if self._digest is None:
            return Client("", host, name)
        given = _needed_key(call)
        if not hmac.compare_digest(hashlib.sha256(given).digest(), self._digest):
            raise NotAuthorised("the key is wrong", hint="send the key that orch serve shows when it starts")
        return Client(self._key_id, host, name)

    async def identify(self, call: Call) -> Client:
        """Who asks, by the authority. Raises NotAuthorised for a missing key, and what the authority does."""
        assert self.authority is not None, "a gate without an authority has one key"
        peer = call.scope.get("client")
        host = str(peer[0]) if peer else ""
        if not peer and is_near(call):
            host = call.headers.get(PEER, b"").decode("latin-1")
        given = _needed_key(call)
        route = call.route
        if route is not None and route.operator:
            return await self.authority.operator(given, host)
        admitted = route is not None and bool(route.job) and b"idempotency-key" not in call.headers
        return await self.authority.client(given, host, fresh=not admitted)

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].rstrip(".")
        if _LOOPBACK.fullmatch(name) or name in self._names:
            return True
        return not self._loopback and _is_address(name)

    def _check_fetch(self, call: Call) -> None:
        """A browser's request from another site that needs no Origin: an image, a script."""
        headers = call.headers
        if headers.get(b"sec-fetch-site") in _ELSEWHERE and headers.get(b"sec-fetch-mode") != b"navigate":
            raise _foreign("another site")


def _allowed(name: str) -> str:
    """A name of `--allow-host` as it is looked for: without the dot that may end it, as a client's."""
    found = name.lower().rstrip(".")
    if not _ALLOWED.fullmatch(found):
        raise ConfigError(
            f"{name!r} is no name of a host",
            key="allow_host",
            hint="give the name alone: orch serve --allow-host tap.example",
        )
    return found


def _needed_key(call: Call) -> bytes:
    given = key_of(call)
    if not given:
        raise NotAuthorised("this server wants a key", hint="send Authorization: Bearer KEY")
    return given


def key_of(call: Call) -> bytes:
    """The key that a request carries; empty where it carries none."""
    scheme, _, given = call.headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and given.strip():
        return given.strip()
    return call.headers.get(b"x-api-key", b"").strip()


def _check_single(call: Call) -> None:
    names = [name for name, _ in call.scope["headers"]]
    for name in _SINGLE:
        if names.count(name) > 1:
            raise BadRequest(f"the header {name.decode()} is given more than once", code="malformed_http")


def _is_same(origin: bytes, host: str, scheme: str) -> bool:
    return origin.decode("latin-1").lower() == f"{scheme}://{host}"


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _foreign(origin: str) -> NotAllowed:
    return NotAllowed(
        f"requests from web pages of {origin} are not served",
        hint="start the server with --allow-origin ORIGIN to allow them",
        code="origin_not_allowed",
    )
