# SPDX-License-Identifier: GPL-3.0-or-later
"""Which applets a tap offers: what tap.toml says, at the start and when it is read again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import until
from operator_tap import OperatorTap
from probe_applet import probe

from llama_orch.ledger.books import accounts, keys
from llama_orch.tap.applets import offered
from llama_orch.tap.config.reading import read
from llama_orch.tap.config.record import FILE

READY = ["brief", "extract", "minutes", "outreach", "reply", "summarize", "triage"]


@pytest.fixture
def tap(tmp_path: Path) -> Iterator[OperatorTap]:
    home = tmp_path / "operator"
    home.mkdir()
    made = OperatorTap(home, tmp_path / "tap")
    yield made
    made.end()


def offer(tap: OperatorTap, line: str) -> None:
    """Writes what is offered into tap.toml."""
    file = tap.folder / FILE
    text = file.read_text()
    before, _, after = text.partition("[applets]\n")
    rest = "".join(each for each in after.splitlines(keepends=True) if not each.startswith("offered"))
    file.write_text(f"{before}[applets]\n{line}\n{rest}")


def test_what_a_tap_offers_and_what_it_offers_after_a_reload(
    tap: OperatorTap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = tap.found()
    account = accounts.add(book, "acme").id
    headers = {"authorization": f"Bearer {keys.add(book, account)[1]}"}
    book.close()
    offer(tap, "offered = ['triage']")
    gateway = tap.serve("--processes", "1")

    def listed() -> list[str]:
        reply = gateway.call("GET", "/v1/applets", headers=headers, key=False)
        assert reply.status == 200, reply.body
        return [each["id"] for each in reply.json["data"]]

    def answer(name: str) -> Any:
        reply = gateway.call("POST", f"/v1/applets/{name}", {"text": "x"}, headers, key=False)
        return reply.status, reply.error["code"]

    assert listed() == ["triage"]
    assert answer("summarize") == (404, "unknown_applet")
    offer(tap, "offered = ['nothere']")
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: "offers the applet nothere, which is not installed here" in gateway.log, "the refusal")
    assert listed() == ["triage"]
    offer(tap, "offered = ['summarize']")
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: "the configuration was read again" in gateway.log, "the reload")
    until(lambda: listed() == ["summarize"], "the new list")
    assert answer("triage") == (404, "unknown_applet")
    offer(tap, "offered = []")
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: listed() == [], "the empty list")


def test_a_name_that_no_applet_has_is_told_before_anything_starts(tap: OperatorTap) -> None:
    tap.found().close()
    offer(tap, "offered = ['triage', 'nothere']")
    done = tap.run("serve", str(tap.folder), "--port", "0")
    assert done.returncode == 1
    assert b"tap.toml offers the applet nothere, which is not installed here" in done.stderr
    assert b"orch applet ls" in done.stderr
    assert b"Traceback" not in done.stderr


def test_without_a_word_the_ready_made_ones_are_offered_and_no_others(
    tap: OperatorTap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap.found().close()
    probe(tmp_path / "applets", monkeypatch)
    monkeypatch.syspath_prepend(str(tmp_path / "applets"))
    config = read(tap.folder, environ={})
    assert list(offered.names(config)) == READY
    assert "probe" in offered.names(None)
    offer(tap, "offered = ['probe', 'brief']")
    config = read(tap.folder, environ={})
    offered.check(config)
    assert offered.names(config) == ("brief", "probe")


@pytest.mark.parametrize(
    ("shape", "needs"),
    [
        ({"properties": {"page": {"type": "string", "format": "path"}}}, False),
        ({"properties": {"page": {"type": "string", "format": "path"}}, "required": ["page"]}, True),
        ({"properties": {"page": {"type": "string"}}, "required": ["page"]}, False),
        ({"properties": {"all": {"items": {"format": "file-path"}}}, "required": ["all"]}, True),
        ({"properties": {"one": {"anyOf": [{"type": "null"}, {"format": "path"}]}}, "required": ["one"]}, True),
        ({}, False),
    ],
)
def test_an_applet_that_must_be_given_files_is_known_by_its_schema(shape: dict[str, Any], needs: bool) -> None:
    assert offered.needs_files(shape) is needs
