# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP for downloads: no redirect is followed unseen, no answer is waited for without end.

Proxies and certificates come from the environment, as httpx and huggingface_hub read them.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from llama_orch.models.download.trouble import AGAIN, Broken
from llama_orch.models.download.way import MOST_HOPS, Way, host_of
from llama_orch_utils.errors import BadRequest, ConfigError, TargetError, TargetTimeout, TargetUnreachable

if TYPE_CHECKING:
    import httpx

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONNECT_SECONDS = 10.0
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose body has not been read. `linked` are the headers of the redirects before it, the first first."""

    response: httpx.Response
    url: str
    linked: dict[str, str]

    @property
    def status(self) -> int:
        """The status code."""
        return self.response.status_code

    def header(self, name: str) -> str | None:
        """A header of the answer itself."""
        value: str | None = self.response.headers.get(name)
        return value

    def number(self, name: str) -> int | None:
        """A header that is a whole number; None where it is missing or is none."""
        value = self.header(name)
        return int(value) if value is not None and _NUMBER.fullmatch(value) else None


class Web:
    """A connection pool. `stall` is how many seconds without a byte end a connection. Use it in a `with`."""

    def __init__(self, stall: float = 10.0) -> None:
        import httpx

        from llama_orch_utils.version import VERSION

        self._stall = stall
        try:
            self._client = httpx.Client(
                follow_redirects=False,
                timeout=httpx.Timeout(stall, connect=min(_CONNECT_SECONDS, stall)),
                headers={"user-agent": f"llama-orch/{VERSION}", "accept-encoding": "identity"},
            )
        except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
            raise _unusable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    @contextmanager
    def ask(
        self, way: Way, method: Literal["GET", "HEAD"] = "GET", headers: dict[str, str] | None = None
    ) -> Generator[Answer]:
        """The answer at the end of the redirects that `way` allows.

        Raises Broken for what another attempt may mend (no connection, a stall, a cut), NotAllowed for a redirect,
        TargetError for a server that breaks the protocol.
        """
        url, linked = way.url, dict[str, str]()
        for _ in range(MOST_HOPS):
            with (
                self._guarded(url),
                self._client.stream(method, url, headers={**way.headers_for(url), **(headers or {})}) as response,
            ):
                if response.status_code not in _REDIRECTS or not response.headers.get("location"):
                    yield Answer(response, url, linked)
                    return
                linked = {**{str(name).lower(): str(value) for name, value in response.headers.items()}, **linked}
                url = way.onward(url, response.headers["location"])
        raise TargetError(f"{host_of(way.url)} sends us on in circles", code="bad_redirect")

    @contextmanager
    def _guarded(self, url: str) -> Generator[None]:
        """Turns httpx's errors, in the connection and in the body, into ours."""
        import httpx

        host = host_of(url)
        try:
            yield
        except httpx.TimeoutException as error:
            phase = "connect" if isinstance(error, httpx.ConnectTimeout) else "between_bytes"
            words = f"{host} sent nothing for {self._stall:g} s"
            raise Broken(TargetTimeout(words, phase=phase, seconds=self._stall, hint=AGAIN)) from error
        except httpx.ConnectError as error:
            raise _unreachable(host, error) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise BadRequest(f"this address cannot be used: {error}", param="/model", hint="check it") from error
        except httpx.TransportError as error:
            words = f"the connection to {host} was cut"
            raise Broken(TargetUnreachable(words, address=host, hint=AGAIN)) from error


def _unusable(error: Exception) -> ConfigError:
    """A proxy or a file of certificates in the environment that httpx cannot take."""
    if isinstance(error, OSError):
        return ConfigError(
            f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read: {error.strerror or error}",
            key="SSL_CERT_FILE",
            hint="env | grep SSL_CERT",
        )
    return ConfigError(
        "the proxy that the environment names cannot be used: it has to be http:// or https://",
        key="ALL_PROXY",
        hint="env | grep -i _proxy | cut -d= -f1",
    )


def _unreachable(host: str, error: Exception) -> Exception:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return TargetUnreachable(
                f"{host} has no certificate that can be trusted: {cause.verify_message}",
                address=host,
                hint="if it is your own authority's, name its file in SSL_CERT_FILE",
            )
        cause = cause.__cause__ or cause.__context__
    return Broken(
        TargetUnreachable(
            f"{host} cannot be reached: {error}",
            address=host,
            hint="check the network and the proxy settings; --offline uses what is on this machine",
        )
    )
