# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch run` against a tap: what is asked, what comes out, and where."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llama_orch_utils.testing import FakeTap, Script

KEY = b"sk-canary-4711-abcdef-0815"
Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]


def test_the_answer_is_all_of_stdout(run_orch: Orch, tap: FakeTap) -> None:
    tap.answer(["Blue ", "light\n\nscatters", "."])
    done = run_orch("run", "Why is", "the sky blue?")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"Blue light\n\nscatters.\n", b"")
    assert tap.asked[-1].messages == [{"role": "user", "content": "Why is the sky blue?"}]


def test_stdin_then_files_then_words(run_orch: Orch, tap: FakeTap, tmp_path: Path) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("first file\n")
    two.write_text("second file")
    run_orch("run", "-f", str(one), "-f", str(two), "What is it?", input=b"from stdin\n")
    assert tap.asked[-1].messages[0]["content"] == "from stdin\n\nfirst file\n\nsecond file\n\nWhat is it?"
    run_orch("run", "-", input=b"only stdin")
    assert tap.asked[-1].messages[0]["content"] == "only stdin"
    run_orch("run", input=b"\xef\xbb\xbfa mark before")
    assert tap.asked[-1].messages[0]["content"] == "a mark before"


def test_options_are_sent_by_their_names(run_orch: Orch, tap: FakeTap) -> None:
    words = ["temperature=0.5", "seed=7", "max_tokens=9", "stop=a", "stop=b=c", "top_k=3", "min_p=0.1", "foo=[1]"]
    words.append("bar=x")
    run_orch("run", "-s", "Be brief.", "-m", "big", *(each for word in words for each in ("-o", word)), "Hi")
    asked = tap.asked[-1].json
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    expected = {"model": "big", "temperature": 0.5, "seed": 7, "max_tokens": 9, "stop": ["a", "b=c"], "top_k": 3,
                "min_p": 0.1, "foo": [1], "bar": "x"}  # fmt: skip
    assert {name: asked[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-o", "temprature=1"), "-o has no 'temprature'; did you mean 'temperature'?"),
        (("-o", "temperature=warm"), "-o temperature needs a number, not 'warm'"),
        (("-o", "temperature=nan"), "-o temperature needs a number, not 'nan'"),
        (("-o", "seed"), "-o needs KEY=VALUE, not 'seed'"),
        (("-o", "cache_prompt=maybe"), "-o cache_prompt needs true or false, not 'maybe'"),
        (("-o", "logit_bias={"), "-o logit_bias needs JSON, not '{'"),
        (("-x", "--json"), "-x and --json exclude each other"),
        (("-c", "--cid", "1"), "-c and --cid exclude each other"),
        (("--cid", "nothere"), "there is no conversation 'nothere'"),
        (("-c",), "there is no conversation to go on with"),
        (("--schema", "{"), "--schema is no JSON: line 1, column 2"),
        (("--schema", "nothere.json"), "cannot read the schema nothere.json: No such file or directory"),
        (("--keep-alive", "long"), "--keep-alive must be seconds"),
        (("--context", "0"), "--context needs a whole number, 1 or more, not '0'"),
        (("-f", "nothere.txt"), "cannot read nothere.txt: No such file or directory"),
        (("--tempo", "1"), "orch run has no option '--tempo'"),
    ],
)
def test_usage_errors_say_what_is_wrong_and_ask_nothing(
    run_orch: Orch, tap: FakeTap, words: tuple[str, ...], told: str
) -> None:
    done = run_orch("run", *words, "Hi")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(f"error: {told}")
    assert "\n\nhint: " in done.stderr.decode()
    assert tap.asked == []


def test_json_is_one_line_with_the_documented_keys(run_orch: Orch, tap: FakeTap) -> None:
    from llama_orch.cli.run.record import KEYS

    tap.answer(["Hel", "lo"], reasoning=("hm",))
    done = run_orch("run", "--json", "Hi there you")
    assert done.stdout.count(b"\n") == 1
    data = json.loads(done.stdout)
    assert list(data) == list(KEYS)
    assert (data["text"], data["reasoning"], data["model"], data["target"]) == ("Hello", "hm", "fake-model", tap.url)
    assert (data["input_tokens"], data["output_tokens"], data["cost"]) == (3, 3, None)
    assert data["request_id"].startswith("req-")
    logged = json.loads(run_orch("logs", "show", data["conversation"], "--json").stdout)
    assert (logged[0]["prompt"], logged[0]["answer"]) == ("Hi there you", "Hello")


def test_extract_prints_the_code_and_nothing_else(run_orch: Orch, tap: FakeTap) -> None:
    tap.answer("Sure:\n\n```sh\nls -l\n\necho\n```\nDone\n```\nother\n```")
    assert run_orch("run", "-x", "Hi").stdout == b"ls -l\n\necho\n"
    tap.answer("There is no code.")
    done = run_orch("run", "-x", "Hi")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"error: the answer holds no fenced code block\n\nhint: orch logs show" in done.stderr


def test_no_stream_prints_it_whole(run_orch: Orch, tap: FakeTap) -> None:
    tap.answer(["a", "b"])
    assert run_orch("run", "--no-stream", "Hi").stdout == b"ab\n"


def test_schema_from_a_file_and_from_the_line(run_orch: Orch, tap: FakeTap, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(schema))
    for given in (str(file), json.dumps(schema)):
        tap.answer('{"a": 1}')
        assert run_orch("run", "--schema", given, "Hi").stdout == b'{"a": 1}\n'
        form = tap.asked[-1].json["response_format"]
        assert (form["type"], form["json_schema"]["schema"]) == ("json_schema", schema)


def test_usage_reasoning_and_notes_go_to_stderr(run_orch: Orch, tap: FakeTap) -> None:
    tap.answer(["Yes"], reasoning=("Let me ", "think."), finish_reason="length")
    done = run_orch("run", "-u", "one two three")
    assert done.stdout == b"Yes\n"
    assert done.stderr.startswith(b"Let me think.\n\n")
    assert b"tokens: 3 in, 3 out" in done.stderr
    assert b"max_tokens or the context was reached" in done.stderr
    tap.answer(["Yes"], reasoning=("Let me think.",), finish_reason="length")
    assert run_orch("run", "-q", "Hi").stderr == b""


def test_a_conversation_goes_on(run_orch: Orch, tap: FakeTap) -> None:
    tap.answer("Robin.")
    run_orch("run", "-s", "Be brief.", "-m", "big", "A bird?")
    tap.answer("Wren.")
    run_orch("run", "-c", "Another?")
    said = [(each["role"], each["content"]) for each in tap.asked[-1].messages]
    assert said == [("system", "Be brief."), ("user", "A bird?"), ("assistant", "Robin."), ("user", "Another?")]
    assert tap.asked[-1].json["model"] == "big"
    tap.answer("Not kept.")
    run_orch("run", "-n", "-c", "Hidden?")
    found = json.loads(run_orch("logs", "ls", "--json").stdout)
    assert [(each["turns"], each["prompt"]) for each in found] == [(2, "A bird?")]
    run_orch("run", "--cid", found[0]["id"], "Third?")
    assert len(tap.asked[-1].messages) == 6


def test_the_key_is_in_no_output_and_no_file(run_orch: Orch, tap: FakeTap, orch_home: Path) -> None:
    tap.answer(f"Your key is {KEY.decode()}, I think.")
    done = run_orch("run", "-u", f"My key is {KEY.decode()}. Is it safe?")
    assert KEY not in done.stderr
    run_orch("run", "-c", "And?")
    for file in orch_home.rglob("*"):
        if file.is_file():
            assert KEY not in file.read_bytes(), file


def test_each_piece_goes_out_as_it_comes(start_orch: Start, tap: FakeTap) -> None:
    tap.script(Script(("one ", "two ", "three"), pause=0.4))
    process = start_orch("run", "-n", "Hi")
    times: list[tuple[bytes, float]] = []
    while data := os.read(process.stdout.fileno(), 4096):  # type: ignore[union-attr]
        times.append((data, time.monotonic()))
    assert [data for data, _ in times[:2]] == [b"one ", b"two "]
    assert times[2][1] - times[0][1] > 0.6


def test_a_silent_pipe_is_mentioned_and_waited_for(start_orch: Start, tap: FakeTap) -> None:
    process = start_orch("run", "-n", "Hi", stdin=subprocess.PIPE)
    assert process.stderr is not None
    assert b"it waits for standard input" in process.stderr.readline()
    out, _ = process.communicate(b"late words")
    assert (process.returncode, out) == (0, b"Hello from the fake tap.\n")
    assert tap.asked[-1].messages[0]["content"] == "late words\n\nHi"


def test_without_a_prompt_and_a_terminal_it_is_a_usage_error(run_orch: Orch, start_orch: Start, tap: FakeTap) -> None:
    assert run_orch("run").returncode == 2
    assert run_orch("run", input=b" \n\n").returncode == 2
    controlling, terminal = pty.openpty()
    try:
        process = start_orch("run", stdin=terminal)
        assert process.communicate()[0] == b""
        assert process.returncode == 2
    finally:
        os.close(controlling)
        os.close(terminal)
    assert tap.asked == []


def test_closed_standard_input(run_orch: Orch, tap: FakeTap) -> None:
    import sys

    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m llama_orch.cli run -n Hi <&-"], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"Hello from the fake tap.\n")
