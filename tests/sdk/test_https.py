# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS and proxies, over every transport: a server with a certificate of our own authority, and a forward proxy."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from certificates import Authority
from forward_proxy import ForwardProxy
from sdk_canary import CANARY

from llama_orch_utils import AsyncClient, Client, TargetUnreachable
from llama_orch_utils.testing import FakeTap
from llama_orch_utils.transport import route
from llama_orch_utils.transport.aiohttp_ import AiohttpTransport

HOST = "tap.test"  # reserved for tests, resolved by nobody (RFC 6761, 6.2)
TEXT = "Hello from the fake tap."
Ask = Callable[[str], tuple[str, str]]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The environment of somebody whose company has its own authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    route.tls_context.cache_clear()
    yield authority.file
    route.tls_context.cache_clear()


@pytest.fixture
def secure_tap(authority: Authority) -> Iterator[FakeTap]:
    with FakeTap(tls=authority.server_context(HOST, "127.0.0.1"), key=CANARY) as tap:
        yield tap


def blocking(url: str) -> tuple[str, str]:
    with Client(url, key=CANARY, model="m", retries=0) as client:
        return client.chat("hi").text, "".join(piece.text for piece in client.stream("hi"))


def awaited(transport: Callable[[], Any]) -> Ask:
    def ask(url: str) -> tuple[str, str]:
        async def main() -> tuple[str, str]:
            async with AsyncClient(url, key=CANARY, model="m", retries=0, transport=transport()) as client:
                return (await client.chat("hi")).text, "".join([piece.text async for piece in client.stream("hi")])

        return asyncio.run(main())

    return ask


def through_openai(url: str) -> tuple[str, str]:
    """The HTTP client that `openai_kwargs` gives."""
    with Client(url, key=CANARY, model="m") as client:
        arguments = client.openai_kwargs()
        with arguments["http_client"] as http:
            try:
                reply = http.post(
                    f"{arguments['base_url']}/chat/completions", json={"messages": []},
                    headers={"Authorization": f"Bearer {arguments['api_key']}"},
                )  # fmt: skip
            except httpx.ConnectError as error:
                raise TargetUnreachable(str(error)) from error
        text = reply.json()["choices"][0]["message"]["content"]
    return text, text


@pytest.fixture(params=["blocking", "asyncio", "aiohttp", "openai"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Asks twice, whole and streamed, over one of the transports; gives both texts."""
    if request.param in ("blocking", "openai"):
        return {"blocking": blocking, "openai": through_openai}[request.param]
    return awaited(AiohttpTransport if request.param == "aiohttp" else lambda: None)


def test_https_with_an_authority_of_ones_own(secure_tap: FakeTap, trusted: Path, ask: Ask):
    assert ask(secure_tap.url) == (TEXT, TEXT)
    assert secure_tap.url.startswith("https://127.0.0.1:")
    assert {asked.key for asked in secure_tap.asked} == {CANARY}


def test_a_certificate_that_nobody_vouches_for(secure_tap: FakeTap, ask: Ask, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    route.tls_context.cache_clear()
    with pytest.raises(TargetUnreachable, match=r"(?i)certificate") as caught:
        ask(secure_tap.url)
    route.tls_context.cache_clear()
    assert CANARY not in str(caught.value)
    assert not secure_tap.asked, "no request, and so no key, goes to a stranger"


def test_a_certificate_for_somebody_else(authority: Authority, trusted: Path, ask: Ask):
    with FakeTap(tls=authority.server_context("other.test")) as tap:
        with pytest.raises(TargetUnreachable, match=r"(?i)certificate"):
            ask(tap.url)
        assert not tap.asked


def test_plain_http_where_tls_is_spoken_and_the_reverse(secure_tap: FakeTap, tap: FakeTap, trusted: Path):
    with pytest.raises(TargetUnreachable):
        blocking(secure_tap.url.replace("https", "http"))
    with pytest.raises(TargetUnreachable, match="TLS"):
        blocking(tap.url.replace("http", "https"))
    assert not secure_tap.asked


def test_a_bad_certificate_is_not_tried_again(secure_tap: FakeTap):
    route.tls_context.cache_clear()
    with Client(secure_tap.url, key=CANARY, model="m", retries=50) as client, pytest.raises(TargetUnreachable):
        client.chat("hi")


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_https_through_a_proxy(
    secure_tap: FakeTap, trusted: Path, ask: Ask, variable: str, monkeypatch: pytest.MonkeyPatch
):
    with ForwardProxy(secure_tap.port) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        assert ask(f"https://{HOST}/v1") == (TEXT, TEXT)
        assert set(proxy.requests) == {f"CONNECT {HOST}:443 HTTP/1.1"}
        assert CANARY.encode() not in proxy.passed, "the tunnel hides the key"
        assert not any("authorization" in headers for headers in proxy.headers)
    assert secure_tap.asked[0].headers["host"] == HOST


def test_http_through_a_proxy(tap: FakeTap, ask: Ask, monkeypatch: pytest.MonkeyPatch):
    with ForwardProxy(tap.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.port}")  # curl's form, without a scheme
        assert ask(f"http://{HOST}:8080/v1") == (TEXT, TEXT)
        assert proxy.requests[0] == f"POST http://{HOST}:8080/v1/chat/completions HTTP/1.1"


def test_a_proxy_with_a_password(secure_tap: FakeTap, trusted: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch):
    login = "Basic " + base64.b64encode(b"joe:pass word").decode()
    with ForwardProxy(secure_tap.port, login=login) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://joe:pass%20word@127.0.0.1:{proxy.port}")
        assert ask(f"https://{HOST}/v1") == (TEXT, TEXT)
        assert {headers["proxy-authorization"] for headers in proxy.headers} == {login}
    assert not any("proxy-authorization" in asked.headers for asked in secure_tap.asked)


@pytest.mark.parametrize("exempt", [HOST, ".test", f"other.example, {HOST}", "*"])
def test_no_proxy_exempts(ask: Ask, tap: FakeTap, exempt: str, monkeypatch: pytest.MonkeyPatch):
    with ForwardProxy(tap.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", exempt)
        with pytest.raises(TargetUnreachable):
            ask(f"http://{HOST}/v1")  # nobody resolves the name, and the proxy is not asked
        assert proxy.requests == []


def test_loopback_never_goes_to_a_proxy(tap: FakeTap, ask: Ask, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert ask(tap.url) == (TEXT, TEXT)


@pytest.mark.parametrize("trouble", ["closed", "password"])
def test_a_proxy_that_does_not_help_is_named_without_its_password(
    secure_tap: FakeTap, trusted: Path, trouble: str, monkeypatch: pytest.MonkeyPatch
):
    with ForwardProxy(secure_tap.port, login="Basic other") as proxy:
        port = 1 if trouble == "closed" else proxy.port
        monkeypatch.setenv("HTTPS_PROXY", f"http://joe:{CANARY}@127.0.0.1:{port}")
        for ask in (blocking, awaited(lambda: None), awaited(AiohttpTransport)):
            with pytest.raises(TargetUnreachable) as caught:
                ask(f"https://{HOST}/v1")
            assert CANARY not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.hint}"
            assert "proxy" in str(caught.value).lower()
    assert not secure_tap.asked


def test_leaving_a_stream_frees_the_target_behind_a_proxy_and_tls(
    secure_tap: FakeTap, trusted: Path, monkeypatch: pytest.MonkeyPatch
):
    with ForwardProxy(secure_tap.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with Client(f"https://{HOST}/v1", key=CANARY, model="m") as client:
            secure_tap.answer(["a"] * 1000, pause=0.05)
            with client.stream("hi") as stream:
                next(iter(stream))
            secure_tap.wait_left(1)
