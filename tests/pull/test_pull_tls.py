# SPDX-License-Identifier: GPL-3.0-or-later
"""https: an authority of one's own by SSL_CERT_FILE, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority
from hub_server import Hub, address_of
from pull_home import Home, longer, sha256

from llama_orch_utils.errors import NotAllowed, TargetUnreachable


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def hub(authority: Authority) -> Iterator[Hub]:
    with Hub(authority.server_context("127.0.0.1")) as server:
        yield server


def test_a_certificate_that_nobody_vouches_for(home: Home, hub: Hub) -> None:
    with pytest.raises(TargetUnreachable, match="no certificate that can be trusted") as caught:
        home.pull("hf://o/m", retries=0)
    assert "SSL_CERT_FILE" in (caught.value.hint or "")
    assert hub.seen == []


def test_an_authority_of_ones_own(
    home: Home, hub: Hub, authority: Authority, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = longer(tiny_gguf.read_bytes(), 2_000_000)
    hub.add("o/m", {"m-Q8_0.gguf": data})
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    hub.fail("storage", cut=True, after=1_000_000)
    assert home.pull("hf://o/m").model.digest == sha256(data)


def test_https_never_leads_back_to_http(
    home: Home, hub: Hub, authority: Authority, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    hub.plain["/m.gguf"] = tiny_gguf.read_bytes()
    hub.fail("plain", location="http://127.0.0.1:9/m.gguf")
    with pytest.raises(NotAllowed, match="not by https"):
        home.pull(address_of(hub, "/m.gguf"), hosts=frozenset({"127.0.0.1"}))
