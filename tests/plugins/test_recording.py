# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch applet test --record`: what a target answers now becomes what the recorded run plays; a key never does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from llama_orch.applets.recording import text_of
from llama_orch_utils.testing import FakeTap, Script

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
KEY = "canary-key-that-is-never-recorded"
FIRST = {"category": "bug", "priority": "high", "sentiment": "angry", "language": "en", "team": "support"}
SECOND = {**FIRST, "category": "billing", "team": "billing"}
STREAM = b"".join(
    b"data: %s\n\n" % each
    for each in (
        b'{"choices": [{"delta": {"content": "Y"}}]}',
        b'{"choices": [{"delta": {"content": "es"}}]}',
        b'{"choices": [], "usage": {}}',
        b"[DONE]",
    )
)


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    path = tmp_path / "cases.jsonl"
    rows = [{"input": {"body": "It is broken"}, "why": "kept"}, {"input": {"body": "Twice!"}, "answers": ["old"]}]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    return path


def test_what_was_recorded_plays_without_the_target(run_orch: Orch, orch_home: Path, cases: Path) -> None:
    with FakeTap(key=KEY) as tap:
        tap.json(FIRST)
        tap.answer("no json at all").json(SECOND)  # one repair: two answers
        environment = {"ORCH_TARGET": tap.url, "ORCH_API_KEY": KEY}
        done = run_orch("applet", "test", "triage", "--cases", str(cases), "--record", env=environment)
        assert done.returncode == 0, done.stderr
        assert b"2 recorded in" in done.stderr
        address = tap.url
    rows = [json.loads(line) for line in cases.read_text().splitlines() if line]
    assert rows[0] == {
        "input": {"body": "It is broken"},
        "why": "kept",
        "answers": [json.dumps(FIRST)],
        "output": FIRST,
    }
    assert rows[1]["answers"] == ["no json at all", json.dumps(SECOND)]
    assert rows[1]["output"] == SECOND
    text = cases.read_text()
    assert KEY not in text
    assert address not in text
    assert "authorization" not in text.lower()
    done = run_orch("applet", "test", "triage", "--cases", str(cases), "--json")
    assert done.returncode == 0, done.stderr
    assert [row["passed"] for row in json.loads(done.stdout)] == [True, True]


def test_a_key_that_comes_back_is_not_recorded_nor_is_what_went_wrong(
    run_orch: Orch, orch_home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "cases.jsonl"
    row = {
        "input": {"text": "Say it."},
        "answers": ["old"],
        "output": {"summary": "old", "citations": [], "dropped": 0},
    }
    path.write_text((json.dumps(row) + "\n") * 3)
    with FakeTap(key=KEY) as tap:
        tap.answer(f"The key is {KEY}.").script(Script(("The key is ", KEY[:9], KEY[9:])))
        tap.error(400, "no", code="bad_request")
        environment = {"ORCH_TARGET": tap.url, "ORCH_API_KEY": KEY}
        done = run_orch("applet", "test", "summarize", "--cases", str(path), "--record", "--json", env=environment)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert [each["passed"] for each in told] == [False, False, False]
    assert "says the key of the target" in told[0]["wrong"]
    assert path.read_text() == (json.dumps(row) + "\n") * 3
    for said in (done.stdout, done.stderr, path.read_bytes()):
        assert KEY.encode() not in said


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b'{"choices": [{"message": {"content": "Yes."}}]}', "Yes."),
        (STREAM, "Yes"),
        (b'{"choices": [{"message": {"content": null, "tool_calls": [{}]}}]}', None),
        (b"no json", None),
        (b'data: {"broken\n\n', None),
        (b": a comment\n\ndata: [DONE]\n\n", ""),
    ],
)  # fmt: skip
def test_the_text_of_an_answer(answer: bytes, text: str | None) -> None:
    assert text_of(answer) == text
