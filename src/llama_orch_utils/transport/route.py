# SPDX-License-Identifier: Apache-2.0
"""How a place is reached: the proxy that the environment names, and the TLS context."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from llama_orch_utils.transport.exchange import Place

if TYPE_CHECKING:
    import ssl

    import httpcore

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@functools.cache
def tls_context() -> ssl.SSLContext:
    """The context for https: the system's file if SSL_CERT_FILE or SSL_CERT_DIR is set, else certifi's.

    Made at the first https connection, and once: it costs some 10 ms.
    """
    import ssl

    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return ssl.create_default_context(
            cafile=os.environ.get("SSL_CERT_FILE") or None, capath=os.environ.get("SSL_CERT_DIR") or None
        )
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


def proxy_for(place: Place) -> httpcore.Proxy | None:
    """The HTTP proxy from HTTP_PROXY, HTTPS_PROXY or ALL_PROXY that NO_PROXY does not exempt; never for loopback."""
    url = proxy_url(place)
    if url is None:
        return None
    from urllib.parse import unquote, urlsplit

    import httpcore

    parts = urlsplit(url)
    login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return httpcore.Proxy(
        httpcore.URL(scheme=parts.scheme, host=parts.hostname or "", port=port, target=""), auth=login
    )


def proxy_url(place: Place) -> str | None:
    """The proxy's address as the environment writes it; `http://` where it names no scheme, as curl reads it."""
    if place.socket is not None or place.host in _LOOPBACK:
        return None
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    if proxy_bypass(f"{place.host}:{place.port}"):
        return None
    url = proxies.get(place.scheme) or proxies.get("all")
    return url if not url or "://" in url else f"http://{url}"


def by_way_of(place: Place) -> str:
    """For an error: the proxy that was to be passed, in brackets and without its password; empty without one."""
    url = proxy_url(place)
    if url is None:
        return ""
    scheme, _, rest = url.partition("://")
    return f" (through the proxy {scheme}://{rest.rpartition('@')[2].rstrip('/')})"
