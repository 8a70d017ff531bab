# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles: packed, signed, refused when a byte is another one, installed offline under a client's own name."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import applet_house
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_orch.applets.bundle import signing, wish
from llama_orch.applets.bundle.opening import opened
from llama_orch_utils.applets.branded import installer
from llama_orch_utils.applets.branded.brand import Brand
from llama_orch_utils.errors import AppletError
from llama_orch_utils.testing import FakeTap, Script

BRAND = """name = "acme-helpdesk"
title = "Acme Helpdesk"
version = "1.0"
support = "help@acme.example"
legal = ["© 2026 Acme Ltd"]
welcome = "Tickets sorted while you sleep."
logo = "logo.svg"
applets = ["./echo.whl", "./asks.whl"]

[target]
url = "https://tap.acme.example/v1"

[colours]
accent = "#0a7cff"

[texts]
greeting = "Hello from Acme"
"""
ASKS = """
from pydantic import BaseModel
from llama_orch_utils.applets import Context, applet


class Given(BaseModel):
    question: str


class Made(BaseModel):
    answer: str
    brand: str


@applet(__package__)
def asks(given: Given, context: Context) -> Made:
    return Made(answer=context.client.chat(given.question).text, brand=context.brand["greeting"])
"""


@pytest.fixture(scope="session")
def packed(shared_folder: Path, applet_packages: Path) -> Path:
    """A folder with the bundle's zip, and `home`, the ORCH_HOME of the agency that packed it. Read-only."""
    folder = shared_folder / "packed"
    with (shared_folder / "packed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            write_brand(partial / "acme")
            environment = {
                **os.environ,
                "ORCH_HOME": str(partial / "home"),
                "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            }
            words = ["applet", "pack", str(partial / "acme"), "-o", str(partial), "--offline", "--json"]
            done = subprocess.run(
                [sys.executable, "-m", "llama_orch.cli", *words, "--find-links", str(applet_packages)],
                env=environment, capture_output=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr.decode()
            (partial / "said.json").write_bytes(done.stdout)
            (partial / "notes.txt").write_bytes(done.stderr)
            partial.rename(folder)
    return folder


def write_brand(folder: Path, text: str = BRAND) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "brand.toml").write_text(text)
    (folder / "logo.svg").write_text("<svg/>")
    for name, body in (("echo", applet_house.BODY), ("asks", ASKS)):
        made = applet_house.write_wheel(folder / "wheels", name, body=body)
        text = text.replace(f"./{name}.whl", f"./wheels/{made.name}")
    (folder / "brand.toml").write_text(text)
    return folder


def bundle_of(packed: Path) -> Path:
    return packed / "acme-helpdesk-1.0.zip"


def unpack(packed: Path, folder: Path) -> Path:
    with zipfile.ZipFile(bundle_of(packed)) as archive:
        archive.extractall(folder)
    return folder / "acme-helpdesk-1.0"


def test_what_is_in_it(packed):
    told = json.loads((packed / "said.json").read_text())
    assert told["applets"] == ["echo", "asks"]
    key = packed / "home" / "config" / "applet-signing.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "made a key to sign with" in (packed / "notes.txt").read_text()
    secret = key.read_text().strip()
    with zipfile.ZipFile(bundle_of(packed)) as archive:
        assert all(secret.encode() not in archive.read(name) for name in archive.namelist())
        notices = archive.read("acme-helpdesk-1.0/NOTICES.txt").decode()
        requirements = archive.read("acme-helpdesk-1.0/requirements.txt").decode().splitlines()
        wheels = [name for name in archive.namelist() if name.endswith(".whl")]
    assert secret not in (packed / "notes.txt").read_text()
    assert len(requirements) == len(wheels)
    assert all("--hash=sha256:" in line for line in requirements)
    for package in ("applet-echo 1.0", "The licence of applet-asks.", "llama-orch-utils", "pydantic", "Apache License"):
        assert package in notices


def test_the_client_installs_it_offline_under_his_own_name(packed, tmp_path):
    folder = unpack(packed, tmp_path)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "http_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, str(folder / "install.py")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Acme Helpdesk 1.0 is installed:")
    shutil.rmtree(folder)
    command = tmp_path / "home" / ".local" / "bin" / "acme-helpdesk"
    seen: list[str] = [done.stdout]

    def run(*words: str, code: int = 0, given: str = "", **more: str) -> str:
        found = subprocess.run(
            [command, *words], env={**environment, **more}, input=given, capture_output=True, text=True, check=False
        )
        assert found.returncode == code, (words, found.stdout, found.stderr)
        assert "Traceback" not in found.stderr
        seen.extend((found.stdout, found.stderr))
        return found.stdout + found.stderr

    page = run()
    for words in ("Acme Helpdesk 1.0", "Tickets sorted", "echo", "asks", "help@acme.example", "© 2026 Acme Ltd"):
        assert words in page
    assert run("--version") == "acme-helpdesk 1.0\n"
    assert "--text" in run("echo", "--help")
    assert run("echo", "--text", "hi", "--times", "2") == "said: hi hi\n"
    assert "acme-helpdesk echo --help" in run("echo", code=2)
    assert "there is no nothing" in run("nothing", code=2)
    run("echo", "--wrong", code=2)
    run("echo", "--times", "x", code=2)
    with FakeTap(key="key-of-acme") as tap:
        at = {"ACME_HELPDESK_TARGET": tap.url}
        assert "acme-helpdesk login" in run("asks", "--question", "Why?", code=1, **at)
        run("login", given="key-of-acme\n")
        tap.script(Script(("Because.",)))
        answer = run("asks", "--question", "Why?", "--json", **at)
        assert json.loads(answer) == {"answer": "Because.", "brand": "Hello from Acme"}
        (tmp_path / "rows.csv").write_text("text\none\ntwo\n")
        run("echo", "--batch", str(tmp_path / "rows.csv"), "--output", str(tmp_path / "out.csv"), **at)
    assert "one" in (tmp_path / "out.csv").read_text()
    unreachable = run("asks", "--question", "Why?", code=1, ACME_HELPDESK_TARGET="http://127.0.0.1:9/v1")
    assert unreachable.startswith("error:")
    key = tmp_path / "home" / ".local" / "share" / "acme-helpdesk" / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o644)
    assert "can be read by others" in run("asks", "--question", "x", code=1)
    everything = "".join(seen).lower().replace(str(tmp_path).lower(), "")
    assert "orch" not in everything
    assert "llama" not in everything
    assert "llama-orch-utils" in run("licences"), "but the notices that must stay"


def test_orch_installs_it_too_and_keeps_the_brand(packed, run_orch, orch_home):
    told = json.loads((packed / "said.json").read_text())
    other = run_orch("applet", "install", "--yes", "--signer", "ed25519:0000", str(bundle_of(packed)))
    assert other.returncode == 1
    assert b"not by ed25519:0000" in other.stderr
    done = run_orch("applet", "install", "--yes", "--json", "--signer", told["signer"], str(bundle_of(packed)))
    assert done.returncode == 0, done.stderr
    assert {row["id"]: row["signer"] for row in json.loads(done.stdout)} == dict.fromkeys(
        ("echo", "asks"), told["signer"]
    )
    with FakeTap(key="k" * 20) as tap:
        tap.script(Script(("Because.",)))
        env = {"ORCH_TARGET": tap.url, "ORCH_API_KEY": "k" * 20}
        ran = run_orch("asks", "--question", "Why?", "--json", env=env)
    assert json.loads(ran.stdout) == {"answer": "Because.", "brand": "Hello from Acme"}, ran.stderr
    checked = run_orch("applet", "verify", "--json", str(bundle_of(packed)))
    assert json.loads(checked.stdout)[0]["signer"] == told["signer"]
    assert run_orch("applet", "upgrade", "echo").returncode == 1


@pytest.mark.parametrize(
    "name", ["bundle.json", "bundle.sig", "requirements.txt", "NOTICES.txt", "install.py", "wheel"]
)
def test_a_changed_byte_is_refused(packed, tmp_path, name):
    folder = unpack(packed, tmp_path)
    path = next((folder / "wheels").glob("applet_echo*")) if name == "wheel" else folder / name
    content = bytearray(path.read_bytes())
    place = len(content) // 2
    content[place] = content[place] + 1 if content[place] < 0x7E else content[place] - 1
    path.write_bytes(content)
    with pytest.raises(AppletError), opened(folder):
        pass
    if name != "install.py":
        done = subprocess.run(
            [sys.executable, str(folder / "install.py"), "--into", str(tmp_path / "x"), "--bin", str(tmp_path / "y")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "nothing was installed" in done.stderr
        assert not (tmp_path / "x").exists()


def test_the_installer_writes_over_nothing_of_others(packed, tmp_path):
    folder = unpack(packed, tmp_path)
    (tmp_path / "acme-helpdesk").write_text("mine")
    done = subprocess.run(
        [sys.executable, str(folder / "install.py"), "--into", str(tmp_path / "x"), "--bin", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "is there already" in done.stderr
    assert not (tmp_path / "x").exists()
    assert (tmp_path / "acme-helpdesk").read_text() == "mine"


def test_other_ways_to_tamper(packed, tmp_path, orch_home):
    folder = unpack(packed, tmp_path)
    with opened(folder) as bundle:
        signer = bundle.signer
    (folder / "wheels" / "more-1.0-py3-none-any.whl").write_bytes(b"x")
    with pytest.raises(AppletError, match="was not signed"), opened(folder):
        pass
    (folder / "wheels" / "more-1.0-py3-none-any.whl").unlink()
    (folder / "NOTICES.txt").unlink()
    with pytest.raises(AppletError, match="lacks NOTICES"), opened(folder):
        pass
    # Signed again by somebody else: right in itself, and another fingerprint.
    listing = json.loads((folder / "bundle.json").read_text())
    stranger = signing.signer()
    listing["key"] = base64.b64encode(stranger.public).decode()
    del listing["files"]["NOTICES.txt"]
    body = json.dumps(listing).encode()
    (folder / "bundle.json").write_bytes(body)
    (folder / "bundle.sig").write_text(base64.b64encode(stranger.sign(body)).decode())
    with opened(folder) as bundle:
        assert bundle.signer != signer
    with pytest.raises(AppletError, match="not by"), opened(folder, signer):
        pass


def test_a_zip_that_leads_out(tmp_path):
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../out.txt", "x")
    with pytest.raises(AppletError, match="leads out"), opened(path):
        pass
    path.write_bytes(b"no zip")
    with pytest.raises(AppletError, match="damaged"), opened(path):
        pass
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/readme", "x")
    with pytest.raises(AppletError, match="no bundle"), opened(path):
        pass


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('support = "help@acme.example"', 'suport = "x"', "line 4: suport is a field that nobody knows"),
        ('url = "https://tap', 'key = "sk-x"\nurl = "https://tap', "key is a field that nobody knows"),
        ("https://tap", "https://user:word@tap", "must hold no key"),
        ("https://tap.acme.example/v1", "tap", "must be an address"),
        ("#0a7cff", "blue", "accent cannot be 'blue'"),
        ('"acme-helpdesk"', '"Acme Helpdesk"', "line 1: name cannot be"),
        ('"acme-helpdesk"', '"python"', "that is something else already"),
        ('"acme-helpdesk"', '"json"', "that is something else already"),
        ('version = "1.0"\n', "", "lacks version"),
        ("logo.svg", "nowhere.png", "logo is no file"),
        ('greeting = "Hello from Acme"', "greeting = 3", "greeting must be a text"),
        ("legal = [", "legal = [3, ", "legal must be a list of texts"),
        ('title = "Acme Helpdesk"', "title = ", "cannot be read"),
    ],
)
def test_a_brand_that_will_not_do(tmp_path, old, new, words):
    assert old in BRAND
    write_brand(tmp_path, BRAND.replace(old, new))
    with pytest.raises(AppletError) as caught:
        wish.read(tmp_path)
    assert words in caught.value.message


def test_two_versions_of_one_id_cannot_be_packed(tmp_path, run_orch, applet_packages):
    write_brand(tmp_path / "acme")
    other = applet_house.write_wheel(tmp_path / "acme" / "new", "echo", version="2.0")
    text = (tmp_path / "acme" / "brand.toml").read_text().replace("applets = [", f'applets = ["./new/{other.name}", ')
    (tmp_path / "acme" / "brand.toml").write_text(text)
    done = run_orch("applet", "pack", str(tmp_path / "acme"), "--offline", "--find-links", str(applet_packages))
    assert done.returncode == 1
    assert b"two of the applets are echo: applet-echo 2.0 and applet-echo 1.0" in done.stderr


@settings(max_examples=10, deadline=None)
@given(body=st.binary(max_size=200), seed=st.binary(min_size=32, max_size=32), bit=st.integers(0, 511))
def test_the_installers_own_ed25519_is_the_librarys(body, seed, bit):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(body)
    assert installer.verify(public, body, signature)
    assert not installer.verify(public, body + b"x", signature)
    other = bytearray(signature)
    other[bit // 8] ^= 1 << (bit % 8)
    assert not installer.verify(public, body, bytes(other))
    assert signing.valid(public, body, signature)
    assert not signing.valid(public, body, bytes(other))


def test_the_first_vector_of_rfc_8032():
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert installer.verify(public, b"", signature)


def test_the_signing_key_never_shows(orch_home):
    made = signing.signer()
    secret = signing.key_file().read_text().strip()
    assert secret not in repr(made)
    assert signing.signer().public == made.public
    signing.key_file().chmod(0o644)
    with pytest.raises(Exception, match="can be read by others"):
        signing.signer()
    signing.key_file().chmod(0o600)
    signing.key_file().write_text("canary-that-is-no-key")
    with pytest.raises(Exception, match="damaged") as caught:
        signing.signer()
    assert "canary" not in str(caught.value)


@given(words=st.text(max_size=80))
def test_words_of_the_library_become_the_brands(words):
    brand = Brand("acme", "Acme", "1", (), "https://x")
    said = brand.own(f"{words} run llama-orch, or orch auth login; llama_orch_utils ORCH_HOME")
    assert "llama-orch" not in said
    assert "llama_orch" not in said
    assert " orch " not in said
    assert "ORCH_HOME" not in said
