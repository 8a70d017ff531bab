# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys: where they are found, kept and refused, and that they do not print."""

from __future__ import annotations

import copy
import logging
import pickle
import stat
import time
from pathlib import Path

import pytest
from sdk_canary import CANARY

from llama_orch_utils import Client, ConfigError, secrets
from llama_orch_utils.secrets import ring
from llama_orch_utils.testing import FakeTap

URL = "https://tap.example/v1"


def backend(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """A keyring backend of our own, chosen as a user would: by keyring's own variable and file."""
    import keyring

    name = f"ring_{time.monotonic_ns()}"
    head = "import keyring.backend\nclass Ring(keyring.backend.KeyringBackend):\n    priority = 1\n    kept = {}\n"
    (folder / f"{name}.py").write_text(head + code)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", f"{name}.Ring")
    keyring.core.init_backend()  # it remembers the first one of the process


WORKS = """
    def get_password(self, service, name): return self.kept.get((service, name))
    def set_password(self, service, name, value): self.kept[service, name] = value
    def delete_password(self, service, name): del self.kept[service, name]
"""
FORGETS = """
    def get_password(self, service, name): return None
    def set_password(self, service, name, value): pass
    def delete_password(self, service, name): pass
"""
HANGS = """
    def get_password(self, service, name):
        import time
        time.sleep(60)
    set_password = delete_password = get_password
"""


@pytest.fixture(autouse=True)
def _fresh_keyring(monkeypatch: pytest.MonkeyPatch):
    import keyring

    keyring.core.init_backend()
    yield
    monkeypatch.undo()
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    keyring.core.init_backend()


def test_kept_in_the_file_where_there_is_no_keyring():
    assert secrets.find(URL) is None
    kept = secrets.keep(URL, f" {CANARY}\n")
    assert (kept.host, kept.place) == ("https://tap.example", "file")
    assert "keyring" in kept.note
    found = secrets.find("https://TAP.example:443/other/path")
    assert found == secrets.Secret(CANARY, "file", str(secrets.key_file()))
    assert stat.S_IMODE(secrets.key_file().stat().st_mode) == 0o600
    assert secrets.stored_hosts() == ("https://tap.example",)
    assert secrets.forget(URL) == ("file",)
    assert secrets.find(URL) is None
    assert secrets.forget(URL) == ()


@pytest.mark.parametrize(
    "other",
    ["http://tap.example", "https://tap.example:444", "https://evil.example", "https://tap.example.evil.example"],
)
def test_a_key_is_found_for_its_own_host_only(other: str):
    secrets.keep(URL, CANARY)
    assert secrets.find(other) is None


def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch):
    secrets.keep(URL, "stored")
    monkeypatch.setenv("ORCH_API_KEY", CANARY)
    found = secrets.find(URL)
    assert found is not None
    assert (found.value, found.origin, found.where) == (CANARY, "environment", "ORCH_API_KEY")
    kept = secrets.find(URL, environment=False)
    assert kept is not None
    assert kept.value == "stored"


def test_a_keyring_that_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    secrets.keep(URL, "an-old-one", place="file")
    backend(monkeypatch, tmp_path, WORKS)
    assert secrets.keep(URL, CANARY).place == "keyring"
    found = secrets.find(URL)
    assert found is not None
    assert (found.value, found.origin) == (CANARY, "keyring")
    assert secrets.stored_hosts() == (), "the old one is gone from the file"
    assert secrets.forget(URL) == ("keyring",)
    assert secrets.find(URL) is None


def test_a_keyring_that_keeps_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    backend(monkeypatch, tmp_path, FORGETS)
    assert secrets.keep(URL, CANARY).place == "file"
    with pytest.raises(ConfigError, match="not kept"):
        secrets.keep(URL, CANARY, place="keyring")


def test_a_keyring_that_hangs_costs_the_time_out_and_no_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert ring.SECONDS == 3.0
    monkeypatch.setattr(ring, "SECONDS", 0.2)
    backend(monkeypatch, tmp_path, HANGS)
    started = time.monotonic()
    search = secrets.search(URL)
    assert time.monotonic() - started < 2
    assert search.secret is None
    assert "did not answer within 0.2 s" in search.notes[0]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_file_that_others_can_read_is_refused(mode: int):
    secrets.keep(URL, CANARY)
    secrets.key_file().chmod(mode)
    with pytest.raises(ConfigError, match="read by others") as caught:
        secrets.find(URL)
    assert caught.value.hint == f"chmod 600 {secrets.key_file()}"


def test_a_key_file_that_does_not_parse_does_not_show_its_line():
    secrets.keep(URL, "x")
    secrets.key_file().write_text(f'"https://a" = "{CANARY}\n')
    with pytest.raises(ConfigError) as caught:
        secrets.find(URL)
    assert caught.value.line == 1
    assert CANARY not in str(caught.value) + repr(vars(caught.value))


@pytest.mark.parametrize("value", ["", "  ", "two words", "grün", "a\x00b", "a\nb"])
def test_what_is_no_key_is_not_kept(value: str):
    with pytest.raises(ConfigError) as caught:
        secrets.keep(URL, value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "url", ["tap.example", "ftp://tap.example", "https://", "https://a:b@tap.example", "https://x:99999", "http://a b/"]
)
def test_what_is_no_address_is_refused_and_not_repeated(url: str):
    with pytest.raises(ConfigError) as caught:
        secrets.host_of(url)
    assert caught.value.hint
    assert "a:b" not in str(caught.value)


def test_a_secret_does_not_print():
    secret = secrets.Secret(CANARY, "argument")
    shown = [repr(secret), str(secret), f"{secret}", repr([secret]), repr(copy.copy((secret,)))]
    assert not [text for text in shown if CANARY in text]
    assert secrets.masked("short") == "…"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_a_stored_key_is_sent_to_its_tap_and_never_logged(tap: FakeTap, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    secrets.keep(tap.url, CANARY)
    with Client(tap.url, model="m") as client:
        client.chat("hi")
    assert tap.asked[0].key == CANARY
    assert CANARY not in caplog.text
