# SPDX-License-Identifier: GPL-3.0-or-later
"""The keyring in processes of their own: a back end by keyring's API that keeps its entries, as real ones do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sdk_canary import CANARY

from llama_orch_utils.testing import FakeTap

BACKEND = """
import json, os, time
from pathlib import Path
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError, KeyringLocked

FILE = Path(os.environ["TEST_RING_FILE"])

class FileRing(KeyringBackend):
    priority = 5

    def _entries(self):
        return json.loads(FILE.read_text()) if FILE.exists() else {}

    def get_password(self, service, username):
        mode = os.environ.get("TEST_RING_MODE")
        if mode == "locked":
            raise KeyringLocked(f"locked, and it holds {os.environ.get('TEST_RING_CANARY')}")
        if mode == "hangs":
            time.sleep(600)
        return self._entries().get(f"{service}|{username}")

    def set_password(self, service, username, password):
        FILE.write_text(json.dumps({**self._entries(), f"{service}|{username}": password}))

    def delete_password(self, service, username):
        entries = self._entries()
        if entries.pop(f"{service}|{username}", None) is None:
            raise PasswordDeleteError("no such entry")
        FILE.write_text(json.dumps(entries))
"""


class Ring:
    """A folder with the back end, and commands that use it."""

    def __init__(self, folder: Path) -> None:
        (folder / "file_ring.py").write_text(BACKEND)
        self.file = folder / "ring.json"
        self._environment = {
            **os.environ,
            "PYTHON_KEYRING_BACKEND": "file_ring.FileRing",
            "PYTHONPATH": str(folder),
            "TEST_RING_FILE": str(self.file),
            "TEST_RING_CANARY": CANARY,
        }

    def orch(self, *words: str, key: str = "", mode: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "llama_orch.cli", *words]
        environment = {**self._environment, "TEST_RING_MODE": mode}
        return subprocess.run(
            command, input=key, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def python(self, code: str, *words: str, mode: str = "") -> str:
        environment = {**self._environment, "TEST_RING_MODE": mode}
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    def entries(self) -> dict[str, str]:
        return json.loads(self.file.read_text()) if self.file.exists() else {}


@pytest.fixture
def ring(tmp_path: Path, orch_home: Path) -> Ring:
    return Ring(tmp_path)


CHAT = """
import sys
from llama_orch_utils import Client
with Client(sys.argv[1], model="m") as client:
    print(client.chat("hi").text)
"""


def test_a_key_goes_into_the_keyring_and_comes_out_in_another_process(ring: Ring, orch_home: Path):
    with FakeTap(key=CANARY) as tap:
        assert ring.orch("target", "add", "acme", tap.url).returncode == 0
        login = ring.orch("auth", "login", "acme", "-", key=f"{CANARY}\n")
        assert login.returncode == 0, login.stderr
        assert CANARY not in login.stdout + login.stderr
        origin = tap.url.removesuffix("/v1")
        assert ring.entries() == {f"llama-orch|{origin}": CANARY}
        assert not [file for file in orch_home.rglob("*") if file.is_file() and CANARY.encode() in file.read_bytes()]
        status = ring.orch("auth", "status", "--json")
        assert "keyring" in status.stdout
        assert CANARY not in status.stdout
        assert ring.python(CHAT, tap.url) == "Hello from the fake tap.\n"
        assert tap.asked[-1].key == CANARY
        assert ring.orch("run", "--target", "acme", "-m", "m", "hi").stdout == "Hello from the fake tap.\n"
        assert ring.orch("auth", "logout", "acme").returncode == 0
        assert ring.entries() == {}
        again = ring.orch("run", "--target", "acme", "-m", "m", "hi")
        assert again.returncode == 4
        assert "orch auth login acme" in again.stderr


@pytest.mark.parametrize("mode", ["locked", "hangs"])
def test_a_keyring_that_does_not_answer_is_said_and_passed_by(ring: Ring, mode: str):
    with FakeTap(key=CANARY) as tap:
        assert ring.orch("target", "add", "acme", tap.url).returncode == 0
        assert ring.orch("auth", "login", "acme", "-", key=CANARY).returncode == 0
        done = ring.orch("run", "--target", "acme", "-m", "m", "hi", mode=mode)
        assert done.returncode == 4, "without the keyring there is no key"
        assert "keyring" in done.stderr
        assert CANARY not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert all(asked.key is None for asked in tap.asked)
