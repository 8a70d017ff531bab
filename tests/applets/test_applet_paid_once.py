# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch at a real tap, killed and gone on with: the account pays for each row once."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from applet_package import MANIFEST, package
from postgres_server import sqlite_ledger
from tap_house import House

from llama_orch_utils.testing import FakeTap, Script

__all__ = ["sqlite_ledger"]  # a fixture

NOTE = """\
from pydantic import BaseModel
from llama_orch_utils.applets import Context, Document, applet

class Page(BaseModel):
    text: Document

class Note(BaseModel):
    note: str

@applet(__package__)
def note(page: Page, context: Context) -> Note:
    return Note(note=context.client.chat(page.text, max_tokens=8).text)
"""
ROWS = 18


def test_killed_twice_and_paid_once(
    sqlite_ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orch_home: Path
) -> None:
    package(tmp_path, NOTE, name="note", prompts={}, manifest=MANIFEST.format(id="note", summary="Take a note"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    source = tmp_path / "pages.csv"
    source.write_text("text\n" + "".join(f"row {number}\n" for number in range(ROWS)))
    folder = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
    (folder / "tap.db").write_bytes(sqlite_ledger.read_bytes())
    with FakeTap() as upstream:
        upstream.default = Script(("Good.",), pause=0.2)
        spec = {"id": "u", "url": upstream.url, "model": "fake-model"}
        house = House(f"sqlite:///{folder}/tap.db", [{"name": "tiny", "upstreams": [spec], "context": 8192}])
        try:
            tenant = house.tenant("acme")
            words = [sys.executable, "-m", "llama_orch.cli", "note", "--batch", str(source), "--concurrency", "3"]
            words += ["--target", f"{house.gateway.url.removesuffix('/v1')}/v1", "-m", "tiny"]
            environment = dict(os.environ) | {"ORCH_API_KEY": tenant.secret}
            for kill in (4, 10, None):
                process = subprocess.Popen(words, stderr=subprocess.PIPE, env=environment)
                if kill is not None:
                    upstream.wait_asked(kill)
                    process.send_signal(signal.SIGKILL)
                told = process.communicate(timeout=120)[1]
            assert process.returncode == 0, told
            paid = [row for row in tenant.usages() if row["cost"] > 0]
            assert len(paid) == ROWS
            asked = [each for each in upstream.asked if each.path.endswith("completions")]
            assert len(asked) == ROWS
        finally:
            house.end()
            shutil.rmtree(folder)
    with (tmp_path / "pages.out.csv").open(newline="") as file:
        assert [row["note"] for row in csv.DictReader(file)] == ["Good."] * ROWS
