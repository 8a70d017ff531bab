# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agency writes into brand.toml is seen: in prompts, in letters, in the command, on its page, by agents."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client.client import Client as McpClient
from mcp.client.stdio import StdioServerParameters, stdio_client

from llama_orch.applets.bundle import wish
from llama_orch_utils import Client
from llama_orch_utils.applets import Applet, load
from llama_orch_utils.applets.prompts import Prompts
from llama_orch_utils.errors import AppletError
from llama_orch_utils.testing import FakeTap

ROOT = Path(__file__).parents[2]
LOGO = '<svg xmlns="http://www.w3.org/2000/svg"><circle r="9"/></svg>'
BRAND = f"""name = "acme-helpdesk"
title = "Acme & Sons"
version = "2.1"
support = "help@acme.example"
legal = ["© 2026 Acme Ltd", "https://acme.example/legal"]
welcome = "Letters that sound like <you>."
logo = "logo.svg"
applets = ["{ROOT}/applets/outreach", "{ROOT}/applets/triage"]

[target]
url = "https://tap.acme.example/v1"

[colours]
accent = "#0a7cff"

[texts]
tone = "warm, and never in a hurry"
signature = "Kind regards"
"""
SLOTS = {
    "name": "Acme & Sons", "support": "help@acme.example", "legal": "© 2026 Acme Ltd\nhttps://acme.example/legal",
    "tone": "warm, and never in a hurry", "signature": "Kind regards",
}  # fmt: skip
LEAD = {"name": "Ada", "company": "Lys", "brief": "We bake bread."}
DRAFT = {
    "subject": "Bread", "opening": {"text": "Lys could have it.", "column": "company", "quote": "Lys"},
    "body": ["We at Acme & Sons bake bread."], "closing": "Shall we talk?",
}  # fmt: skip


def applet(name: str) -> Applet[Any, Any]:
    found = load(name)
    assert found is not None
    assert isinstance(found.applet, Applet), found.error
    return found.applet


def asked(tap: FakeTap) -> str:
    """What the target was told, all of it."""
    return "\n".join(
        str(each["content"]) for call in tap.asked if call.path.endswith("completions") for each in call.messages
    )


CLAIM = {"text": "At Acme & Sons it is 30 days.", "source": 1, "quote": "return it within 30 days"}
HEARD = {
    "decisions": [], "questions": [],
    "actions": [{"task": "Write", "owner": "Ada", "due": "2026-12-01", "when": None,
                 "quote": "Ada writes by 2026-12-01"}],
}  # fmt: skip
PLAN = {"title": "T", "audience": "A", "angle": "B", "outline": [], "keywords": [], "questions": []}
SORTED = {"category": "bug", "priority": "high", "sentiment": "happy", "language": "en", "team": "support"}
SOURCE = {"name": "a.md", "text": "You may return it within 30 days."}
RUNS: dict[str, tuple[dict[str, Any], Any, tuple[str, ...], tuple[str, ...]]] = {
    "reply": ({"question": "How many days to return?", "sources": [SOURCE]}, {"known": True, "claims": [CLAIM]},
              ("name", "tone"), ("signature", "name", "support")),
    "outreach": (LEAD, DRAFT, ("name", "tone"), ("signature", "name", "support", "legal")),
    "brief": ({"text": "Bread."}, PLAN, ("name", "tone"), ()),
    "minutes": ({"text": "Ada: Ada writes by 2026-12-01."}, HEARD, ("name",), ("name",)),
    "triage": ({"body": "Help!"}, SORTED, ("name",), ()),
    "summarize": ({"text": "A long text."}, "Short.", ("name", "tone"), ()),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_the_slots_are_in_prompts_and_letters_and_nothing_of_them_without_a_brand(orch_home: Path, name: str) -> None:
    given, answer, told, shown = RUNS[name]
    one = applet(name)
    assert set(told) | set(shown) <= set(one.manifest.brand_slots)
    for slots in (SLOTS, {}, {"name": "", "tone": ""}):
        with FakeTap() as tap, Client(tap.url) as client:
            # Without a brand the model's word for us would be an invented fact.
            said = json.dumps(answer) if slots is SLOTS else json.dumps(answer).replace(SLOTS["name"], "us")
            _ = tap.answer(answer) if isinstance(answer, str) else tap.json(json.loads(said))
            text = str(one.invoke(given, client=client, brand=slots).output)
            said = asked(tap)
        for each in told:
            assert (SLOTS[each] in said) == (slots is SLOTS), each
        for each in shown:
            assert all(line in text for line in SLOTS[each].splitlines()) == (slots is SLOTS), each
        assert "{brand" not in said
        assert "None" not in said


def test_i_do_not_know_says_who_does(orch_home: Path) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        given = {"question": "Bicycles?", "sources": [SOURCE]}
        found = applet("reply").invoke(given, client=client, brand=SLOTS).output["draft"]
        assert "do not say.\nPlease write to help@acme.example.\n\nKind regards\nAcme & Sons" in found
        assert applet("reply").invoke(given, client=client).output["draft"] == "I don't know: our documents do not say."


def test_a_calendar_says_who_made_it(orch_home: Path) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        tap.json(HEARD)
        found = applet("minutes").invoke(RUNS["minutes"][0], client=client, brand=SLOTS).output
    assert "PRODID:-//Acme & Sons//minutes" in found["ics"]
    assert "orch" not in found["ics"]
    assert found["markdown"].rstrip().endswith("https://acme.example/legal")


def test_a_slot_that_is_not_declared_is_an_error_with_its_line() -> None:
    with pytest.raises(AppletError) as caught:
        Prompts({"p": "Hello\n{brand.motto}"}, {}, (), ("name", "tone"))
    assert "prompts/p.md, line 2: nobody fills in {brand.motto}" in caught.value.message
    assert "brand.name, brand.tone" in str(caught.value.hint)
    assert "slots under [brand]" in str(caught.value.hint)


def test_lines_about_what_the_brand_does_not_have_are_left_out() -> None:
    text = "One\n\n{brand.name} is here.\n\nTwo {brand.tone} {name}\nThree\n{brand.legal}"
    found = Prompts({"p": text}, {}, ("name",))["p"]
    assert found.fill({"brand": {}, "name": "x\n\n\ny"}) == "One\n\nThree"
    assert found.fill({"brand": {"tone": "dry"}, "name": "x\n\n\ny"}) == "One\n\nTwo dry x\n\n\ny\nThree"
    full = {"name": "Acme", "tone": "dry", "legal": "©\n®"}
    assert found.fill({"brand": full, "name": "x"}) == "One\n\nAcme is here.\n\nTwo dry x\nThree\n©\n®"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("logo.exe", b"x", "ends in none of"), ("logo.png", b"x" * 200_000, "is larger than 128 KiB")],
)
def test_logos_that_will_not_do(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "brand.toml").write_text(BRAND.replace("logo.svg", name))
    with pytest.raises(AppletError, match=words):
        wish.read(tmp_path)


@pytest.fixture(scope="session")
def acme(shared_folder: Path, applet_packages: Path) -> Path:
    """A folder with `bundle` (unpacked), `home` with the command in it, and what the installer said. Read-only."""
    folder = shared_folder / "acme-shows"
    with (shared_folder / "acme-shows.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "said.txt").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, applet_packages)
    return folder


def _make(folder: Path, packages: Path) -> None:
    # Links and scripts hold its path, so it is made in its place; the last file says that it is whole.
    (folder / "wish").mkdir(parents=True)
    (folder / "wish" / "brand.toml").write_text(BRAND)
    (folder / "wish" / "logo.svg").write_text(LOGO)
    keyring = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    environment = {**os.environ, "ORCH_HOME": str(folder / "agency"), **keyring}
    for name in [each for each in environment if each.startswith(("UV_", "PIP_"))]:
        del environment[name]
    words = ["applet", "pack", str(folder / "wish"), "-o", str(folder), "--offline", "--find-links", str(packages)]
    done = subprocess.run(
        [sys.executable, "-m", "llama_orch.cli", *words], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    with zipfile.ZipFile(folder / "acme-helpdesk-2.1.zip") as archive:
        archive.extractall(folder)
    (folder / "acme-helpdesk-2.1").rename(folder / "bundle")
    home = {"PATH": os.environ["PATH"], "HOME": str(folder / "home")}
    done = subprocess.run(
        [sys.executable, str(folder / "bundle" / "install.py")], env=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (folder / "said.txt").write_text(done.stdout + done.stderr)


def environment_of(acme: Path, tap: FakeTap | None = None) -> dict[str, str]:
    found = {"PATH": os.environ["PATH"], "HOME": str(acme / "home"), "NO_COLOR": "1"}
    return found if tap is None else {**found, "ACME_HELPDESK_TARGET": tap.url, "ACME_HELPDESK_KEY": "key-of-acme"}


def test_a_clients_command_says_nothing_of_ours_and_its_prompts_hold_the_slots(acme: Path, tmp_path: Path) -> None:
    command = acme / "home" / ".local" / "bin" / "acme-helpdesk"
    seen = [(acme / "said.txt").read_text()]

    def run(*words: str, code: int = 0, tap: FakeTap | None = None) -> str:
        done = subprocess.run(
            [command, *words], env=environment_of(acme, tap), input="", capture_output=True, text=True, check=False
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        seen.extend((done.stdout, done.stderr))
        return done.stdout + done.stderr

    for page in (run(), run("outreach", "--help"), run("triage", "--help"), run("mcp", "--help")):
        assert page.rstrip().endswith("Support: help@acme.example\n© 2026 Acme Ltd\nhttps://acme.example/legal")
    assert "Acme & Sons outreach: A personal first message" in run("outreach", "--help")
    for wrong in (("nothing",), ("outreach", "--nothing"), ("mcp",), ("outreach", "--name", "Ada")):
        assert "Support: help@acme.example" in run(*wrong, code=2)
    with FakeTap(key="key-of-acme") as tap:
        tap.json(DRAFT)
        told = run("outreach", *(word for name, each in LEAD.items() for word in (f"--{name}", each)), tap=tap)
        assert told.rstrip().endswith(f"Kind regards\nAcme & Sons\nhelp@acme.example\n{SLOTS['legal']}")
        (tmp_path / "leads.csv").write_text("name,company\nAda,Lys\n")
        tap.json(DRAFT)
        words = ("--batch", str(tmp_path / "leads.csv"), "--output", str(tmp_path / "out.csv"), "--brief", "Bread.")
        run("outreach", *words, tap=tap)
        seen.append((tmp_path / "out.csv").read_text())
        tap.json(SORTED)
        run("triage", "--body", "Help!", tap=tap)
        prompts = asked(tap)
    for text in ("We are Acme & Sons.", "Our voice: warm, and never in a hurry", "the support desk of Acme & Sons"):
        assert text in prompts
    broken = run("outreach", "--name", "Ada", "--brief", "x", code=1)
    assert "help@acme.example" in broken
    ours = "".join([*seen, prompts]).lower().replace(str(acme).lower(), "").replace(str(tmp_path).lower(), "")
    assert "orch" not in ours
    assert "llama" not in ours
    assert "llama-orch-utils" in run("licences"), "but the notices that must stay"


def test_the_page_of_a_bundle_shows_logo_colour_and_texts(acme: Path) -> None:
    page = (acme / "bundle" / "index.html").read_text()
    assert base64.b64encode(LOGO.encode()).decode() in page
    for words in (
        "#0a7cff", "<h1>Acme &amp; Sons 2.1</h1>", "sound like &lt;you&gt;.", "acme-helpdesk outreach",
        "mailto:help@acme.example", 'href="https://acme.example/legal"', "© 2026 Acme Ltd", "python3 install.py",
    ):  # fmt: skip
        assert words in page, words
    assert "orch" not in page.lower()
    installer = (acme / "bundle" / "install.py").read_text().lower()
    assert "llama" not in installer
    assert "orch" not in installer


def test_an_agent_sees_the_name_and_the_logo(acme: Path) -> None:
    command = str(acme / "home" / ".local" / "bin" / "acme-helpdesk")

    async def main(environment: dict[str, str]) -> tuple[Any, Any, Any, Any]:
        server = StdioServerParameters(command=command, args=["mcp", "triage"], env=environment)
        async with McpClient(stdio_client(server)) as client:
            tools = await client.list_tools()
            good = await client.call_tool("triage", {"body": "Help!"})
            bad = await client.call_tool("triage", {})
            return client.server_info, tools, good, bad

    with FakeTap(key="key-of-acme") as tap:
        tap.json(SORTED)
        about, tools, good, bad = anyio.run(main, environment_of(acme, tap))
        assert "the support desk of Acme & Sons" in asked(tap)
    assert (about.name, about.title, about.version) == ("acme-helpdesk", "Acme & Sons", "2.1")
    assert base64.b64decode(about.icons[0].src.partition("base64,")[2]) == LOGO.encode()
    assert about.icons[0].mime_type == "image/svg+xml"
    assert good.structured_content == SORTED
    assert bad.is_error
    everything = "".join(each.model_dump_json() for each in (about, tools, good, bad)).lower()
    assert "orch" not in everything


def test_orch_serves_a_bundle_to_agents_under_its_name_too(acme: Path, run_orch: Any, orch_home: Path) -> None:
    # `outreach` and `triage` lie beside this orch, so a bundle of another applet stands for them.
    from llama_orch.applets.record import Origin, Record
    from llama_orch.cli.applet import look

    class Served:
        record = Record(
            "x", "1", "p", "MIT", "b", "3", "", "", "", Origin("bundle", "x"), signer="ed25519:1", brand=SLOTS,
            icon="data:image/png;base64,AAAA",
        )  # fmt: skip

    one: Any = Served()
    face = look.face_of([one, one])
    assert face is not None
    assert (face.name, face.title) == ("acme-sons", "Acme & Sons")
    assert face.foot.startswith("help@acme.example\n©")
    assert face.icons is not None
    assert face.icons[0].mime_type == "image/png"
    assert look.face_of([one, applet("triage")]) is None  # type: ignore[list-item]
