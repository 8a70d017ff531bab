# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a server elsewhere is reached, and with what key: written by the operator, never by a client."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from llama_orch_utils.errors import ConfigError

_PORTS = {"http": 80, "https": 443}
_VERSION = "/v1"
_PRINTABLE = range(0x21, 0x7F)


@dataclass(frozen=True)
class Address:
    """A base URL as OpenAI clients take it (`https://host:port/v1`), a key, and the authorities that are trusted.

    Equal addresses share their connections. `ca` None: the system's authorities. Raises ConfigError for what is no
    HTTP URL and for a key that no header can carry.
    """

    url: str
    key: str | None = None
    ca: Path | None = None

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError as error:
            raise self._wrong(str(error)) from error
        if parts.scheme not in _PORTS or not parts.hostname:
            raise self._wrong("it must begin with http:// or https:// and name a host")
        if parts.username or parts.password or parts.query or parts.fragment or port == 0:
            raise self._wrong("it holds more than a host, a port and a path")
        if any(ord(letter) not in _PRINTABLE for letter in self.url + (self.key or "")):
            raise self._wrong("it, or its key, holds characters that no HTTP head can carry")

    def __repr__(self) -> str:
        return f"Address({self.url!r})"

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Reckoned once: every request looks for its connections by it."""
        return hash((self.url, self.key, self.ca))

    @cached_property
    def host(self) -> str:
        """The name or number of the host, as it is looked up."""
        return urlsplit(self.url).hostname or ""

    @cached_property
    def port(self) -> int:
        """The TCP port."""
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]

    @cached_property
    def tls(self) -> ssl.SSLContext | None:
        """How its certificate is checked; None without TLS. Raises ConfigError for authorities that cannot be read."""
        if not self.url.startswith("https:"):
            return None
        try:
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"cannot read the authorities in {self.ca}: {error.strerror or error}", file=str(self.ca), key="ca"
            ) from error
        context.set_alpn_protocols(["http/1.1"])
        return context

    @cached_property
    def _base(self) -> bytes:
        return urlsplit(self.url).path.rstrip("/").encode()

    @cached_property
    def _fixed(self) -> bytes:
        host = urlsplit(self.url).netloc.encode()
        key = b"" if self.key is None else b"authorization: Bearer %b\r\n" % self.key.encode()
        return b" HTTP/1.1\r\nhost: %b\r\n%bcontent-type: application/json\r\naccept: */*\r\n" % (host, key)

    def head(self, path: str, length: int, request_id: str, *, root: bool = False) -> bytes:
        """The head of a POST to the gateway's own `path` there, with a body of `length` bytes.

        `root`: to a path beside the API and not below it.
        """
        # A base without a path is a server's root: its API begins below it.
        if root:
            where = self._base.removesuffix(_VERSION.encode()) + path.encode()
        else:
            where = self._base + path.removeprefix(_VERSION).encode() if self._base else path.encode()
        return b"POST %b%bcontent-length: %d\r\nx-request-id: %b\r\n\r\n" % (
            where,
            self._fixed,
            length,
            request_id.encode(),
        )

    def _wrong(self, why: str) -> ConfigError:
        shown = self.url if "@" not in self.url else "the URL of an upstream"
        return ConfigError(f"{shown!r} is no address of a server: {why}", key="url", hint="give it as https://host/v1")
