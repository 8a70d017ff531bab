# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches: three forms in and out, broken rows in their place, money bounded, gone on with after kill -9."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from applet_package import MANIFEST, package

from llama_orch_utils import Client, applets
from llama_orch_utils.applets.batch import Batch, Standing, estimate, run_batch
from llama_orch_utils.errors import BadRequest
from llama_orch_utils.testing import FakeTap, Script

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
NOTE = """\
from pydantic import BaseModel
from llama_orch_utils.applets import Context, Document, applet

class Page(BaseModel):
    text: Document
    size: int = 3

class Note(BaseModel):
    note: str

@applet(__package__)
def note(page: Page, context: Context) -> Note:
    return Note(note=context.client.chat(page.text[: 40 * page.size], max_tokens=8).text)
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orch_home: Path) -> Path:
    """A folder to work in; the applet `note` asks once for each row."""
    package(tmp_path, NOTE, name="note", prompts={}, manifest=MANIFEST.format(id="note", summary="Take a note"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def note(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(tmp_path))
    found = applets.load("note")
    assert found is not None
    assert found.applet is not None, found.error
    yield found.applet
    for name in ("applet_of_note",):
        sys.modules.pop(name, None)


def asked(tap: FakeTap) -> list[str]:
    return [each.messages[-1]["content"] for each in tap.asked if each.path.endswith("completions")]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_csv_with_broken_rows(run_orch: Orch, work: Path) -> None:
    source = work / "tickets.csv"
    source.write_text('id,Text,size\n1,"one, two",2\n2,bad\n3,three,many\n4,four,\n5,"open')
    with FakeTap() as tap:
        done = run_orch("note", "--batch", str(source), "--target", tap.url)
    assert done.returncode == 1
    assert "2 of 5 rows done, 3 failed" in done.stderr.decode()
    rows = table(work / "tickets.out.csv")
    assert [each["id"] for each in rows][:4] == ["1", "2", "3", "4"]
    assert [bool(each["note"]) for each in rows] == [True, False, False, True, False]
    assert rows[1]["error"] == "broken_row: it has 2 cells, and the head has 3"
    assert "size: input should be a valid integer" in rows[2]["error"]
    assert "unexpected end of data" in rows[4]["error"]
    assert not list(work.glob("*.journal"))


def test_json_lines(run_orch: Orch, work: Path) -> None:
    source = work / "pages.jsonl"
    source.write_text('{"text": "one", "other": 1}\n\nnot json\n[1]\n{"size": 1}\n')
    with FakeTap() as tap:
        done = run_orch("note", "--batch", str(source), "--target", tap.url, "--json")
    assert json.loads(done.stdout)["failed"] == 3
    rows = [json.loads(line) for line in (work / "pages.out.jsonl").read_text().splitlines()]
    assert rows[0] == {
        "row": 1,
        "input": {"text": "one", "other": 1},
        "output": {"note": "Hello from the fake tap."},
        "error": None,
    }
    assert [each["error"]["code"] for each in rows[1:]] == ["broken_row", "broken_row", "bad_request"]


def test_a_folder(run_orch: Orch, work: Path) -> None:
    folder = work / "pages"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("one")
    (folder / "deep/b.md").write_text("two")
    (folder / "odd.txt").write_bytes(b"\xff\xfa\xfb")
    (folder / "empty.txt").write_text("")
    (folder / "away.txt").symlink_to("/etc/hostname")
    with FakeTap() as tap:
        done = run_orch("note", "--batch", str(folder), "--target", tap.url)
        assert sorted(asked(tap)) == ["one", "two"]
    assert done.returncode == 1
    output = work / "pages.out"
    assert json.loads((output / "deep/b.md.json").read_text()) == {"note": "Hello from the fake tap."}
    assert "not UTF-8" in json.loads((output / "odd.txt.error.json").read_text())["message"]
    assert "empty" in json.loads((output / "empty.txt.error.json").read_text())["message"]
    assert not list(output.glob("away*"))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("empty.csv", b"", "is empty"),
        ("head.csv", b"text,size\n", "holds no rows"),
        ("latin.csv", b"text\ncaf\xe9\n", "is not UTF-8 (line 2)"),
        ("other.csv", b"title\nx\n", "has no column text; it has: title"),
        ("twice.csv", b"text,Text\nx,y\n", "has a column twice"),
        ("page.pdf", b"x", "is no batch"),
    ],
)
def test_files_that_are_no_batch(run_orch: Orch, work: Path, name: str, content: bytes, told: str) -> None:
    (work / name).write_bytes(content)
    done = run_orch("note", "--batch", str(work / name), "--target", "http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (1, b"")
    assert told in done.stderr.decode()
    assert "\n\nhint: " in done.stderr.decode()
    assert [each.name for each in work.iterdir()] == [name]


def test_other_encodings_and_delimiters(run_orch: Orch, work: Path) -> None:
    source = work / "wide.csv"
    source.write_bytes("text;size\nçà;1\n".encode("utf-16"))
    with FakeTap() as tap:
        done = run_orch("note", "--batch", str(source), "--target", tap.url)
        assert done.returncode == 0, done.stderr
        assert asked(tap) == ["çà"]


def test_the_source_is_never_the_output(note: Any, work: Path) -> None:
    source = work / "a.csv"
    source.write_text("text\nx\n")
    with FakeTap() as tap, Client(tap.url) as client:
        for output in (source, work / "nothere" / "b.csv"):
            with pytest.raises(BadRequest):
                run_batch(Batch(note, source, output), client)
    assert source.read_text() == "text\nx\n"


def test_never_more_rows_at_once_than_wanted_and_progress_is_told(note: Any, work: Path) -> None:
    source = work / "a.csv"
    source.write_text("text\n" + "".join(f"row {number}\n" for number in range(60)))
    seen: list[Standing] = []
    with FakeTap() as tap, Client(tap.url) as client:
        report = run_batch(Batch(note, source, concurrency=8), client, seen.append)
    assert (report.rows, report.done, report.failed, report.stopped) == (60, 60, 0, None)
    assert [each.done for each in seen] == list(range(1, 61))
    assert seen[-1].rate > 0
    assert seen[0].seconds_left > seen[-1].seconds_left == 0
    assert [each["text"] for each in table(work / "a.out.csv")] == [f"row {number}" for number in range(60)]


def test_a_target_that_goes_is_gone_on_with(note: Any, work: Path) -> None:
    source = work / "a.csv"
    source.write_text("text\n" + "".join(f"row {number}\n" for number in range(20)))
    with FakeTap() as tap:
        for _ in range(7):
            tap.answer("Good.")
        tap.default = Script(status=402, body=b'{"error": {"message": "no money", "code": "insufficient_credits"}}')
        with Client(tap.url) as client:
            report = run_batch(Batch(note, source, concurrency=1), client)
        assert report.stopped is not None
        assert (report.stopped.code, report.done) == ("insufficient_credits", 7)
        rows = table(work / "a.out.csv")
        assert len(rows) == 20
        assert rows[19]["error"].startswith("not_run: ")
        before = len(asked(tap))
        tap.default = Script(("Better.",))
        with Client(tap.url) as client:
            report = run_batch(Batch(note, source, concurrency=1), client)
        assert (report.done, report.kept, report.failed) == (20, 7, 0)
        assert len(asked(tap)) - before == 13
    assert [each["note"] for each in table(work / "a.out.csv")] == ["Good."] * 7 + ["Better."] * 13
    assert not list(work.glob("*.journal"))


def test_what_has_changed_since_is_not_gone_on_with(note: Any, work: Path) -> None:
    source = work / "a.csv"
    source.write_text("text\none\n")
    with FakeTap() as tap:
        tap.default = Script(status=402, body=b'{"error": {"message": "no", "code": "insufficient_credits"}}')
        with Client(tap.url) as client:
            run_batch(Batch(note, source), client)
            source.write_text("text\ntwo\n")
            with pytest.raises(BadRequest, match="is of another batch") as caught:
                run_batch(Batch(note, source), client)
            assert "--fresh" in str(caught.value.hint)
            tap.default = Script(("Good.",))
            assert run_batch(Batch(note, source, fresh=True), client).done == 1


def test_killed_and_gone_on_with_nothing_is_paid_twice(work: Path) -> None:
    """Every row is asked for once with one Idempotency-Key, whatever moment the kill came at."""
    source = work / "a.csv"
    count = 40
    source.write_text("text\n" + "".join(f"row {number}\n" for number in range(count)))
    words = [sys.executable, "-m", "llama_orch.cli", "note", "--batch", str(source), "--concurrency", "3"]
    with FakeTap() as tap:
        tap.default = Script(("Good.",), pause=0.02)
        words += ["--target", tap.url]
        kills = 0
        while True:
            process = subprocess.Popen(words, stderr=subprocess.PIPE, env=dict(os.environ))
            tap.wait_asked(min(len(tap.asked) + 8, count))
            if kills < 3:
                process.send_signal(signal.SIGKILL)
                kills += 1
            told = process.communicate(timeout=60)[1]
            if process.returncode == 0:
                break
            assert process.returncode == -signal.SIGKILL, told
        keys: dict[str, set[str]] = {}
        for each in tap.asked:
            if each.path.endswith("completions"):
                keys.setdefault(each.messages[-1]["content"], set()).add(each.headers["idempotency-key"])
        assert len(keys) == count
        assert all(len(each) == 1 for each in keys.values())
        # Only what was on its way at a kill was sent again: at most three rows at once, three times.
        assert len(asked(tap)) <= count + 9
    assert [each["note"] for each in table(work / "a.out.csv")] == ["Good."] * count


def test_a_limit_on_the_money(run_orch: Orch, work: Path) -> None:
    source = work / "a.csv"
    source.write_text("text\n" + "".join(f"row {number}\n" for number in range(30)))
    with FakeTap(pricing={"input": 1_000_000, "output": 1_000_000}) as tap:
        words = ("--batch", str(source), "--target", tap.url, "--max-cost", "0.0001", "--concurrency", "1")
        done = run_orch("note", *words)
        assert done.returncode != 0
        assert "of max_cost are left" in done.stderr.decode()
        assert "rows are left; the same command goes on with them" in done.stderr.decode()
        assert 0 < len(asked(tap)) < 30


def test_what_it_may_cost_is_said_and_nothing_is_asked(run_orch: Orch, note: Any, work: Path) -> None:
    source = work / "a.csv"
    source.write_text("text,size\n" + "some words,2\n" * 10 + "bad\n" + "x,many\n")
    with FakeTap(pricing={"input": 1_000_000, "output": 1_000_000}) as tap:
        done = run_orch("note", "--batch", str(source), "--target", tap.url, "--dry-run")
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode().startswith("12 rows (2 broken), about ")
        assert "about €" in done.stdout.decode()
        assert asked(tap) == []
        with Client(tap.url) as client:
            found = estimate(Batch(note, source), client)
        assert (found.rows, found.broken) == (12, 2)
        assert found.cost == found.input_tokens + found.output_tokens
    assert not list(work.glob("*.out*"))


def test_a_hundred_thousand_rows(note: Any, work: Path) -> None:
    """Read, journalled and written; no model is asked, for each row is broken. 10 s of CPU at most."""
    source = work / "many.csv"
    source.write_text("text,size\n" + "bad\n" * 100_000)
    begun = time.process_time()
    with FakeTap() as tap, Client(tap.url) as client:
        report = run_batch(Batch(note, source), client)
    assert (report.rows, report.failed) == (100_000, 100_000)
    assert (work / "many.out.csv").read_bytes().count(b"\n") == 100_001
    assert time.process_time() - begun < 60
