# SPDX-License-Identifier: GPL-3.0-or-later
"""What the SDK's tests share: a fake tap on a real socket, and a machine without a keyring."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sdk_canary import CANARY

from llama_orch_utils import Client
from llama_orch_utils.testing import FakeTap


@pytest.fixture(autouse=True)
def _no_keyring(monkeypatch: pytest.MonkeyPatch, orch_home: object) -> None:
    """The developer's keyring is none of the tests' business (keyring's own switch)."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def tap() -> Iterator[FakeTap]:
    with FakeTap() as tap:
        yield tap


@pytest.fixture
def client(tap: FakeTap) -> Iterator[Client]:
    with Client(tap.url, key=CANARY, model="fake-model") as client:
        yield client


@pytest.fixture
def make_client(tap: FakeTap) -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def make(**arguments: object) -> Client:
        clients.append(Client(tap.url, **{"key": CANARY, "model": "fake-model", **arguments}))  # type: ignore[arg-type]
        return clients[-1]

    yield make
    for client in clients:
        client.close()
