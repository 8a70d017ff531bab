# SPDX-License-Identifier: GPL-3.0-or-later
"""To which hosts a request may go, and which of them is told the token."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from llama_orch_utils.errors import NotAllowed, OrchError, TargetError

_PORTS = {"http": 80, "https": 443}
MOST_HOPS = 6


@dataclass(frozen=True, slots=True)
class Way:
    """The way to `url`: the host in it, and others only as said here.

    `hub`: the answers of a hub send on to its storage, wherever that is (that is the hub's contract); never from https
    to http, nor from elsewhere into this machine or its network. `hosts`: what the user allowed by name. `headers` (a
    token) go to the origin of `url` and to no other. `explain` knows what a refusal of that origin means, from its
    status and headers.
    """

    url: str
    hub: bool = False
    hosts: frozenset[str] = frozenset()
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    explain: Callable[[int, Mapping[str, str]], OrchError | None] | None = field(
        default=None, repr=False, compare=False
    )

    def headers_for(self, url: str) -> dict[str, str]:
        """What goes along to `url`."""
        return self.headers if origin(url) == origin(self.url) else {}

    def onward(self, url: str, location: str) -> str:
        """Where a redirect from `url` leads, if it may. Raises NotAllowed for a host that nobody named."""
        try:
            target = urljoin(url, location)
            there = origin(target)
        except ValueError as error:
            raise TargetError(f"{host_of(url)} sends us on to what is no address", code="bad_redirect") from error
        if there == origin(url) or there == origin(self.url):
            return target
        if (origin(url)[0], there) == ("http", ("https", origin(url)[1], _PORTS["https"])):
            return target  # the same host, and now nobody can change what it sends
        if there[0] not in _PORTS or (there[0] == "http" and urlsplit(url).scheme == "https"):
            raise self._refusal(url, there, "not by https")
        if there[1] in self.hosts:
            return target
        if not self.hub:
            raise self._refusal(url, there, "a host that you did not name")
        if _is_inside(there[1]) and not _is_inside(origin(self.url)[1]):
            raise self._refusal(url, there, "inside this network")
        return target

    def _refusal(self, url: str, there: tuple[str, str, int], why: str) -> NotAllowed:
        known = there[0] in _PORTS and why.startswith("a host")
        return NotAllowed(
            f"{host_of(url)} sends us on to {there[1] or there[0]}, {why}",
            code="redirect_refused",
            hint=f"if you trust it, name it: --allow-host {there[1]}" if known else "ask whoever runs that server",
        )


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port (RFC 6454)."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower().rstrip("."), parts.port or _PORTS.get(scheme, 0)


def host_of(url: str) -> str:
    """The host for people, with a port that is not the scheme's own."""
    scheme, host, port = origin(url)
    return host if port == _PORTS.get(scheme) else f"{host}:{port}"


def _is_inside(host: str) -> bool:
    """Whether a host is written as an address of this machine or its network; names are the resolver's business."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(host))  # 2130706433 and 0x7f.1 are 127.0.0.1 as well
        except (OSError, ValueError):
            return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
    return not address.is_global
