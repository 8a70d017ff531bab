# SPDX-License-Identifier: GPL-3.0-or-later
"""Taps of every kind, and what a command did as text for a snapshot."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_tap import FakeTap

ROOT = Path(__file__).parents[3]
Told = Callable[["subprocess.CompletedProcess[bytes]"], str]


@pytest.fixture(autouse=True)
def _no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keyring of whoever runs the tests is not theirs to write into: keyring's own backend that refuses."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")


@pytest.fixture
def tap() -> Iterator[FakeTap]:
    """A tap that takes RIGHT_KEY and no other."""
    server = FakeTap()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/v1"


@pytest.fixture
def told(orch_home: Path, tmp_path: Path) -> Told:
    """Exit code, stdout and stderr as text, without what differs from machine to machine."""

    def tell(done: subprocess.CompletedProcess[bytes]) -> str:
        text = f"exit {done.returncode}\n--- stdout\n{done.stdout.decode()}--- stderr\n{done.stderr.decode()}"
        for path, name in ((orch_home, "HOME"), (tmp_path, "TMP"), (ROOT, "ROOT"), (Path(sys.prefix), "PREFIX")):
            text = text.replace(str(path.resolve()), name).replace(str(path), name)
        text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
        text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
        return text.replace("\r\n", "\n")

    return tell
