# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the gateway listens, and whether it may with the key that it has."""

from __future__ import annotations

import errno
import secrets
import socket
from ipaddress import ip_address

from llama_orch.tap.settings import ServeOptions
from llama_orch_utils.errors import ConfigError
from llama_orch_utils.secrets.secret import Secret

BACKLOG = 1024
_PRINTABLE = range(0x21, 0x7F)
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - these are what is looked for


def key_for(options: ServeOptions, *, loopback: bool) -> Secret | None:
    """The key that requests must carry; None where none is wanted.

    Raises ConfigError for a key that no header can carry, for a public address without one, and for `no_auth` there.
    """
    if options.no_auth:
        if not loopback:
            raise ConfigError(
                f"{options.host} can be reached by others, who would need no key", key="no_auth", hint="orch serve"
            )
        return None
    if options.key is not None and options.key.value:
        if any(ord(letter) not in _PRINTABLE for letter in options.key.value):
            raise ConfigError(
                "the key holds characters that no HTTP header can carry",
                key="ORCH_API_KEY",
                hint="unset ORCH_API_KEY: orch serve makes one",
            )
        return options.key
    if not loopback:
        raise ConfigError(
            f"{options.host} can be reached by others, and there is no key", key="host", hint="export ORCH_API_KEY=…"
        )
    return Secret("orch-" + secrets.token_urlsafe(32), "argument", "generated for this run")


def resolve(options: ServeOptions) -> tuple[socket.AddressFamily, tuple[object, ...], bool]:
    """The family and the address to bind, and whether only this machine reaches it. Raises ConfigError."""
    try:
        found = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, OverflowError, UnicodeError) as error:
        raise ConfigError(
            f"{options.host!r} is no address of this machine: {_why(error)}",
            key="host",
            hint="orch serve --host 127.0.0.1",
        ) from error
    # localhost is both 127.0.0.1 and ::1 on most machines, and the first is what clients are given.
    family, _, _, _, place = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, place, ip_address(str(place[0]).partition("%")[0]).is_loopback


def listen(options: ServeOptions, family: socket.AddressFamily, place: tuple[object, ...]) -> socket.socket:
    """A listening socket. Raises ConfigError in words: port taken, no permission, no such address."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        elsewhere = error.errno == errno.EADDRNOTAVAIL
        raise ConfigError(
            f"cannot listen on {options.host}, port {options.port}: {_why(error)}",
            key="host" if elsewhere else "port",
            hint="orch serve --host 127.0.0.1" if elsewhere else "orch serve --port 0 finds a free port",
        ) from error
    return listener


def url_of(listener: socket.socket, *, tls: bool) -> str:
    """The base URL; a wildcard address is shown as loopback, which reaches it."""
    name, port = listener.getsockname()[:2]
    host = _WILDCARDS.get(str(name), str(name))
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def only_here(listener: socket.socket) -> bool:
    """Whether only this machine reaches the address that a socket listens on."""
    return ip_address(str(listener.getsockname()[0]).partition("%")[0]).is_loopback


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
