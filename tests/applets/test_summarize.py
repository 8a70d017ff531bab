# SPDX-License-Identifier: GPL-3.0-or-later
"""The summarize applet, with a fake tap and through the real command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch_applet_summarize import summarize
from llama_orch_applet_summarize.parts import cut
from llama_orch_utils import Client
from llama_orch_utils.errors import AppletError, BadRequest, StreamBroken
from llama_orch_utils.testing import FakeTap, Script

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]


def summary(tap: FakeTap, **given: str) -> str:
    with Client(tap.url) as client:
        return summarize(given, client=client).summary


def refused(limit: int, asked: int) -> Script:
    error = {"message": "too long", "code": "context_length_exceeded", "limit": limit, "asked": asked}
    return Script(status=400, body=json.dumps({"error": error}).encode())


def test_a_text_that_fits_is_asked_once(orch_home: Path) -> None:
    with FakeTap() as tap:
        tap.answer(["In ", "short."])
        assert summary(tap, text="A long story.", length="short", language="Dutch") == "In short."
        asked = tap.asked[-1]
        assert "in Dutch, in one or two sentences" in asked.messages[-1]["content"]
        assert asked.messages[-1]["content"].endswith("A long story.")
        assert asked.json["max_tokens"] == 120


def test_a_long_text_is_summarised_in_parts_and_then_whole(orch_home: Path) -> None:
    """The fake tap counts words as tokens; the text has 3000 of them and the context 1000."""
    text = "\n\n".join(f"Paragraph {number}. " + "word " * 58 for number in range(50))
    with FakeTap() as tap:
        tap.script(refused(1000, 3030))
        tap.default = Script(("The gist of it.",))
        assert summary(tap, text=text, length="short") == "The gist of it."
        asked = [each.messages[-1]["content"] for each in tap.asked if each.path.endswith("completions")]
        parts = [each.split("\n\n", 1)[1] for each in asked[1:-1]]
        assert len(parts) >= 4
        assert all(len(each.split()) <= 1000 - 120 for each in asked[1:])
        assert " ".join(" ".join(parts).split()) == " ".join(text.split())
        assert asked[-1].split("\n\n", 1)[1] == "\n\n".join(["The gist of it."] * len(parts))


def test_a_part_that_is_still_too_long_is_halved(orch_home: Path) -> None:
    with FakeTap() as tap:
        tap.script(refused(1000, 1500)).script(refused(1000, 1100))
        tap.default = Script(("Gist.",))
        assert summary(tap, text="some words. " * 600, length="short") == "Gist."


def test_a_context_that_is_too_small_is_said(orch_home: Path) -> None:
    with FakeTap() as tap:
        tap.default = refused(40, 3000)
        with pytest.raises(AppletError, match="context of 40 tokens is too small"):
            summary(tap, text="some words. " * 600)


def test_summaries_that_get_no_shorter_end_it(orch_home: Path) -> None:
    with FakeTap() as tap:
        tap.script(refused(1000, 2000))
        tap.default = Script(("blah " * 3000,))
        with pytest.raises(AppletError, match="too small"):
            summary(tap, text="some words. " * 600)


def test_a_summary_that_was_cut_says_so(orch_home: Path) -> None:
    with FakeTap() as tap:
        tap.answer(["Half a"], finish_reason="length")
        assert summary(tap, text="Words.") == "Half a […]"


def test_nothing_to_summarise(orch_home: Path) -> None:
    with FakeTap() as tap, pytest.raises(BadRequest, match="no text"):
        summary(tap, text=" \n")


def test_a_broken_stream_is_told(orch_home: Path) -> None:
    with FakeTap() as tap:
        tap.cut("Half")
        with pytest.raises(StreamBroken):
            summary(tap, text="Words.")


@given(st.text(alphabet=st.sampled_from("ab.! \n。日"), max_size=300), st.integers(1, 60))
def test_parts_lose_nothing_and_keep_the_length(text: str, longest: int) -> None:
    parts = cut(text, longest)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(0 < len(part) <= longest for part in parts)


def test_the_command(run_orch: Orch, orch_home: Path, tmp_path: Path) -> None:
    story = tmp_path / "story.txt"
    story.write_text("Once upon a time.")
    with FakeTap() as tap:
        target = ("--target", tap.url)
        tap.answer(["A ", "tale."])
        done = run_orch("summarize", str(story), *target, "--length", "long", "-m", "big")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"A tale.\n", b"")
        asked = tap.asked[-1]
        assert asked.messages[-1]["content"].endswith("Once upon a time.")
        assert (asked.json["model"], asked.json["max_tokens"]) == ("big", 1000)
        run_orch("summarize", *target, input=b"from stdin")
        assert tap.asked[-1].messages[-1]["content"].endswith("from stdin")
        run_orch("summarize", "-", *target, input=b"stdin again")
        assert tap.asked[-1].messages[-1]["content"].endswith("stdin again")
        run_orch("applet", "run", "summarize", *("--", "-"), input=b"by name", env={"ORCH_TARGET": tap.url})
        assert tap.asked[-1].messages[-1]["content"].endswith("by name")
        tap.answer("A tale.")
        done = run_orch("summarize", str(story), *target, "--json")
        assert json.loads(done.stdout) == {"summary": "A tale.", "citations": [], "dropped": 0}
        tap.cut("Half ")
        done = run_orch("summarize", str(story), *target)
        assert (done.returncode, done.stdout) == (3, b"")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((), 2, "there is no text"),
        (("nothere.txt",), 2, "cannot read nothere.txt: No such file or directory"),
        (("--length", "huge"), 2, "--length is one of short, medium, long, not 'huge'"),
        (("--lenght", "short"), 2, "did you mean '--length'?"),
    ],
)
def test_what_the_command_refuses(run_orch: Orch, words: tuple[str, ...], code: int, told: str) -> None:
    done = run_orch("summarize", *words)
    assert (done.returncode, done.stdout) == (code, b"")
    assert told in done.stderr.decode()
    assert "\n\nhint: " in done.stderr.decode()


def test_with_the_real_worker(run_orch: Orch, tiny_gguf: Path) -> None:
    text = "The wren is a small bird. It sings. " * 400
    done = run_orch("summarize", "-m", str(tiny_gguf), "--context", "1024", "--length", "short", input=text.encode())
    # A model with random weights may well write more than it read; either is said in words.
    assert done.returncode == 0 or b"too small" in done.stderr, done.stderr
    assert b"Traceback" not in done.stderr
