# SPDX-License-Identifier: Apache-2.0
"""The transport of `Client`: httpcore's connection pool over sockets that keep our clock.

httpcore is httpx's own engine. Going to it directly saves a third of the CPU of a request and half of the import
(figures in docs/decisions/0001-http-client.md), and its network backend is where a deadline can be kept exactly.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import httpcore

from llama_orch_utils.transport.clock import Clock
from llama_orch_utils.transport.exchange import Call, Head, Place, TransportFailure
from llama_orch_utils.transport.route import by_way_of, proxy_for, tls_context

if TYPE_CHECKING:
    import ssl

# How long one system call may wait before the clock is looked at again.
SLICE = 1.0
MOST_CONNECTIONS = 512
MOST_IDLE = 32
IDLE_SECONDS = 60.0


class ClockedStream(httpcore.NetworkStream):
    """A connected socket. Where httpcore passes a time-out on, it is our Clock, and deadlines are kept by it."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._set: float | None = -1.0

    def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        """What has come, at most `max_bytes`; b"" at the end."""
        while True:
            self._prepare(timeout)
            try:
                return self._socket.recv(max_bytes)
            except TimeoutError:
                if not isinstance(timeout, Clock):
                    raise httpcore.ReadTimeout from None
            except OSError as error:
                raise httpcore.ReadError(error.strerror or str(error)) from error

    def write(self, buffer: bytes, timeout: Any = None) -> None:
        """Send all of `buffer`."""
        rest = memoryview(buffer)
        while rest:
            self._prepare(timeout)
            try:
                rest = rest[self._socket.send(rest) :]
            except TimeoutError:
                if not isinstance(timeout, Clock):
                    raise httpcore.WriteTimeout from None
            except OSError as error:
                raise httpcore.WriteError(error.strerror or str(error)) from error

    def close(self) -> None:
        """Close; whoever waits in `read` in another thread wakes up."""
        with contextlib.suppress(OSError):  # not connected any more: nothing to shut down
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same connection behind TLS."""
        try:
            self._socket.settimeout(timeout)
            return ClockedStream(ssl_context.wrap_socket(self._socket, server_hostname=server_hostname))
        except TimeoutError as error:
            self.close()
            raise httpcore.ConnectTimeout from error
        except OSError as error:
            self.close()
            raise httpcore.ConnectError(f"TLS: {error}") from error

    def get_extra_info(self, info: str) -> Any:
        """`is_readable`: whether the other side has closed an idle connection; `ssl_object`."""
        if info == "is_readable":
            return _readable(self._socket)
        return self._socket if info == "ssl_object" and hasattr(self._socket, "selected_alpn_protocol") else None

    def _prepare(self, timeout: Any) -> None:
        wait = timeout.left() if isinstance(timeout, Clock) else timeout
        if isinstance(timeout, Clock):
            wait = SLICE if wait is None else min(wait, SLICE)
        if wait != self._set:
            try:
                self._socket.settimeout(wait)
            except OSError as error:
                raise httpcore.ReadError(str(error)) from error
            self._set = wait


class ClockedBackend(httpcore.NetworkBackend):
    """Connects, and hands out ClockedStreams."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A TCP connection without Nagle's delay."""
        del local_address, socket_options  # never asked for by our pools
        connection = _connected(lambda: socket.create_connection((host, port), timeout))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return ClockedStream(connection)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """A connection to a Unix socket."""
        del socket_options
        return ClockedStream(_connected(lambda: open_unix(path, timeout)))


class HttpReply:
    """A reply of httpcore's."""

    __slots__ = ("_response", "head")

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response
        self.head = head_of(response)

    def chunks(self) -> Iterator[bytes]:
        """The body's bytes as they come."""
        try:
            yield from self._response.iter_stream()
        except httpcore.TimeoutException as error:
            raise TransportFailure("no more bytes came in time", connected=True) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise TransportFailure(words_of(error), connected=True) from error

    def close(self) -> None:
        """Free the connection; it is closed if the body was not read to its end."""
        self._response.close()


class HttpTransport:
    """One pool of connections per place."""

    def __init__(self) -> None:
        self._pools: dict[Place, httpcore.ConnectionPool] = {}
        self._lock = threading.Lock()

    def send(self, call: Call, clock: Clock) -> HttpReply:
        """Send `call`; returns when the reply's headers are there. Raises TransportFailure, PhaseElapsed."""
        pool = self._pools.get(call.place) or self._open(call.place)
        try:
            return HttpReply(pool.handle_request(request_of(call, clock, call.body)))
        except httpcore.ConnectTimeout as error:
            raise clock.connect_elapsed() from error
        except (httpcore.ConnectError, httpcore.UnsupportedProtocol, httpcore.ProxyError) as error:
            words = words_of(error) + by_way_of(call.place)
            raise TransportFailure(words, connected=False, lasting=is_lasting(error)) from error
        except httpcore.PoolTimeout as error:
            raise TransportFailure("all connections are in use", connected=False, lasting=True) from error
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise TransportFailure(words_of(error), connected=True) from error

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()

    def _open(self, place: Place) -> httpcore.ConnectionPool:
        with self._lock:
            if place not in self._pools:
                self._pools[place] = httpcore.ConnectionPool(
                    ssl_context=tls_context() if place.scheme == "https" else None,
                    proxy=proxy_for(place),
                    max_connections=MOST_CONNECTIONS,
                    max_keepalive_connections=MOST_IDLE,
                    keepalive_expiry=IDLE_SECONDS,
                    uds=place.socket,
                    network_backend=ClockedBackend(),
                )
            return self._pools[place]


def request_of(call: Call, clock: Clock, content: Any) -> httpcore.Request:
    """The request as httpcore has it; our Clock travels where it carries its time-outs."""
    url = httpcore.URL(
        scheme=call.place.scheme, host=call.place.host, port=call.place.port, target=call.path.encode("ascii")
    )
    seconds = clock.connect_left()
    timeouts = {"connect": seconds, "read": clock, "write": clock, "pool": clock.left()}
    return httpcore.Request(
        call.method.encode("ascii"), url, headers=call.headers, content=content, extensions={"timeout": timeouts}
    )


def head_of(response: httpcore.Response) -> Head:
    """Status and headers; of a header that comes twice, the last counts."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    return Head(response.status, headers)


def words_of(error: Exception) -> str:
    """What the error says, or its kind."""
    return str(error) or type(error).__name__


def is_lasting(error: Exception) -> bool:
    """Whether trying again is pointless: an unknown host name, a certificate that is not trusted, a proxy's no."""
    import ssl

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (socket.gaierror, ssl.SSLCertVerificationError, UnicodeError)):
            return getattr(cause, "errno", None) != socket.EAI_AGAIN
        # httpcore's pool raises what it got again `from None`, so that only the context tells.
        cause = cause.__cause__ or cause.__context__
    return isinstance(error, httpcore.ProxyError)


def open_unix(path: str, timeout: float | None) -> socket.socket:
    """A socket connected to `path`."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _connected(connect: Any) -> socket.socket:
    try:
        return connect()
    except TimeoutError as error:
        raise httpcore.ConnectTimeout from error
    except OSError as error:
        raise httpcore.ConnectError(error.strerror or str(error)) from error
    except UnicodeError as error:  # what Python makes of a host name with an empty or too long label
        raise httpcore.ConnectError("this cannot be a host name") from error


def _readable(connection: socket.socket) -> bool:
    import select

    number = connection.fileno()
    if number < 0:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([number], [], [], 0)[0])
    waiting = select.poll()
    waiting.register(number, select.POLLIN)
    return bool(waiting.poll(0))
