# SPDX-License-Identifier: GPL-3.0-or-later
"""Which column is which input, and what a spreadsheet must not run of what a batch writes."""

from __future__ import annotations

import csv
import io
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from applet_package import MANIFEST, package
from hypothesis import given
from hypothesis import strategies as st

from llama_orch_utils import Client, applets
from llama_orch_utils.applets.batch import Batch, run_batch
from llama_orch_utils.applets.cells import cell, line, safe
from llama_orch_utils.applets.manifest import parse
from llama_orch_utils.errors import AppletError, BadRequest
from llama_orch_utils.testing import FakeTap

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
BACK = """\
from pydantic import BaseModel, ConfigDict
from llama_orch_utils.applets import Context, applet

class Given(BaseModel):
    model_config = ConfigDict(extra="EXTRA")
    subject: str
    body: str = ""
    count: int = 1

class Made(BaseModel):
    said: str
    number: float = -1.5

@applet(__package__)
def back(given: Given, context: Context) -> Made:
    more = given.model_extra or {}
    return Made(said=f"{given.subject}|{given.body}|{given.count}" + "".join(f"|{k}={v}" for k, v in more.items()))
"""
HEAD = MANIFEST.format(id="back", summary="Say it back")
COLUMNS = '[batch]\ncolumns = { subject = ["Betreff", "Title"], body = "Message Text" }\n'


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orch_home: Path) -> Iterator[Callable[..., Any]]:
    """The applet with this below its manifest."""
    import sys

    def of(more: str = COLUMNS, extra: str = "ignore") -> Any:
        package(tmp_path / "plugins", BACK.replace("EXTRA", extra), name="back", prompts={}, manifest=HEAD + more)
        monkeypatch.syspath_prepend(str(tmp_path / "plugins"))
        found = applets.load("back")
        assert found is not None
        if found.applet is None:
            assert found.error is not None
            raise found.error
        return found.applet

    yield of
    sys.modules.pop("applet_of_back", None)


def run(applet: Any, folder: Path, text: str, name: str = "in.csv", **more: Any) -> list[list[str]]:
    (folder / name).write_text(text, encoding="utf-8")
    with FakeTap() as tap, Client(tap.url) as client:
        report = run_batch(Batch(applet, folder / name, folder / "out.csv", **more), client)
    assert report.stopped is None
    return list(csv.reader(io.StringIO((folder / "out.csv").read_bytes().decode(), newline="")))


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("subject,body", "Hi|there|1"),
        ("BETREFF,Message text", "Hi|there|1"),
        (" title ,MESSAGE-TEXT", "Hi|there|1"),
        ("Title,other", "Hi||1"),
    ],
)
def test_columns_by_their_other_names(make: Any, tmp_path: Path, head: str, said: str) -> None:
    rows = run(make(), tmp_path, f"{head}\nHi,there\n")
    assert rows[1][2] == said
    assert rows[0][:2] == next(csv.reader([head]))


def test_the_own_name_goes_first_and_jsonl_knows_the_names_too(make: Any, tmp_path: Path) -> None:
    applet = make()
    assert run(applet, tmp_path, "title,subject\nno,yes\n")[1][2] == "yes||1"
    text = '{"Betreff": "Hi", "message_text": "there", "count": 3}\n{"body": "no subject"}\n'
    rows = run(applet, tmp_path, text, "in.jsonl")
    assert rows[1][1] == "Hi|there|3"
    assert rows[2][-1].startswith("bad_request: ")


def test_a_missing_column_names_its_other_names_and_the_nearest(make: Any, tmp_path: Path, run_orch: Orch) -> None:
    applet = make()
    with pytest.raises(BadRequest) as caught:
        run(applet, tmp_path, "Betref,body\nHi,there\n")
    assert (
        "has no column subject (nor Betreff, Title); it has: Betref, body; did you mean 'Betref'?"
        in caught.value.message
    )
    assert caught.value.hint == "rename a column, or give it for all rows: --subject"
    with pytest.raises(BadRequest) as caught:
        run(applet, tmp_path, "colour,body\nHi,there\n")
    assert "did you mean" not in caught.value.message
    assert run(applet, tmp_path, "colour,body\nred,there\n", given={"subject": "All"})[1][2] == "All|there|1"


def test_triage_reads_what_helpdesks_export(run_orch: Orch, orch_home: Path, tmp_path: Path) -> None:
    (tmp_path / "tickets.csv").write_text("Nummer;Betreff;Beschreibung\n7;App stürzt ab;Immer beim Start\n")
    answer = {"category": "bug", "priority": "high", "sentiment": "angry", "language": "de", "team": "support"}
    with FakeTap() as tap:
        tap.json(answer)
        done = run_orch("triage", str(tmp_path / "tickets.csv"), "--target", tap.url)
        asked = next(each for each in tap.asked if each.path.endswith("completions"))
    assert done.returncode == 0, done.stderr
    assert "Subject: App stürzt ab\n\nImmer beim Start" in str(asked.messages[-1]["content"])


def test_columns_of_the_users_own_reach_an_applet_that_takes_them(make: Any, tmp_path: Path) -> None:
    rows = run(make(extra="allow"), tmp_path, "Title,City,count\nHi,Ghent,2\n")
    assert rows[1][3] == "Hi||2|City=Ghent"
    text = '{"subject": "Hi", "City": "Ghent", "deep": {"x": 1}}\n'
    found = applets.load("back")
    assert found is not None
    assert run(found.applet, tmp_path, text, "in.jsonl")[1][1] == "Hi||1|City=Ghent"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            '[batch]\ncolumns = { subjet = "x" }\n',
            "batch.columns.subjet is no field of the input; did you mean subject?",
        ),
        ("[batch]\ncolumns = { subject = 3 }\n", "line 7: batch.columns.subject must be a column's name"),
        ('[batch]\ncolumns = { subject = ["a", ""] }\n', "line 7: batch.columns.subject cannot hold ''"),
        ('[batch]\ncolumns = { subject = "A", body = "a" }\n', "body holds 'a', which is subject already"),
        ("[batch]\nsize = 3\n", "line 7: batch.size is a field that nobody knows; there are: columns"),
        ('[batch]\ncolumns = ["a"]\n', "batch.columns has a value of the wrong kind"),
    ],
)
def test_columns_that_will_not_do(make: Any, more: str, words: str) -> None:
    with pytest.raises(AppletError) as caught:
        make(more)
    assert words in caught.value.message


def test_a_manifest_goes_over_the_wire_and_comes_back_the_same() -> None:
    import json

    from llama_orch_utils.applets import rpc

    text = HEAD + COLUMNS + '[prompts]\nback = ["one", "two"]\n'
    found = parse(text)
    said = json.loads(json.dumps({**rpc.on_paper(found), "from_a_later_version": [1]}))
    assert rpc.manifest_of(said) == found


FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", '=HYPERLINK("http://evil","x")']
NUMBERS = ["-5", "+3.25", "-1,234.50", "-1.5e-3", "+7%", "-.5"]


def test_formulas_are_texts_and_numbers_are_numbers(make: Any, tmp_path: Path) -> None:
    applet = make()
    source = io.StringIO()
    writer = csv.writer(source)
    writer.writerow(["subject", "=evil()"])
    for each in (*FORMULAS, *NUMBERS):
        writer.writerow([each, each])
    rows = run(applet, tmp_path, source.getvalue())
    assert rows[0] == ["subject", "'=evil()", "said", "number", "error"]
    assert [row[0] for row in rows[1:]] == [f"'{each}" for each in FORMULAS] + NUMBERS
    assert [row[1] for row in rows[1:]] == [row[0] for row in rows[1:]]
    assert all(row[2].startswith("'") for row in rows[1 : len(FORMULAS) + 1]), "what the applet made of it, too"
    assert {row[3] for row in rows[1:]} == {"-1.5"}
    assert run(applet, tmp_path, source.getvalue(), raw_cells=True, fresh=True)[1][0] == "=1+1"


def test_the_command_has_a_way_out(run_orch: Orch, orch_home: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("subject,body\n=1+1,x\n")
    with FakeTap() as tap:
        for flag, first in (((), "'=1+1"), (("--raw-cells",), "=1+1")):
            done = run_orch("triage", str(tmp_path / "in.csv"), "--target", tap.url, "--fresh", *flag)
            assert done.returncode == 0, done.stderr
            assert (tmp_path / "in.out.csv").read_text().splitlines()[1].startswith(f"{first},x,")
    done = run_orch("triage", "--body", "x", "--raw-cells")
    assert done.returncode == 2
    assert b"--raw-cells is for a batch" in done.stderr


@given(st.text(max_size=20))
def test_no_cell_is_run(text: str) -> None:
    found = cell(text)
    assert found in (text, f"'{text}")
    if found == text and text[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        assert text[1:2].isdigit() or text[1:2] in (".", ",")
    assert safe(found) == found
    assert cell(text, raw=True) == text


@given(st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=4), max_size=4))
def test_a_table_reads_back_as_it_was(rows: list[list[str]]) -> None:
    text = "".join(map(line, rows))
    assert list(csv.reader(io.StringIO(text, newline=""))) == rows


def test_what_is_no_text() -> None:
    assert [cell(each) for each in (None, -5, -0.5, True, ["=x"], {"a": "=x"})] == [
        "", "-5", "-0.5", "true", '["=x"]', '{"a": "=x"}',
    ]  # fmt: skip
    assert safe(-5) == -5
