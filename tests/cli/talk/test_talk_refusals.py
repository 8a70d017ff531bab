# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong between the command and a tap: exit code, stdout and stderr, as people see them."""

from __future__ import annotations

import re
import resource
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llama_orch_utils.testing import FakeTap, Script

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]


def told(done: subprocess.CompletedProcess[bytes]) -> str:
    text = f"exit {done.returncode}\n--- stdout\n{done.stdout.decode()}--- stderr\n{done.stderr.decode()}"
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (("",), b""),
        (("  ", "\n"), b""),
        ((), b""),
        (("-",), b""),
        ((), b"GGUF\x03\x00\x00\x00"),
        (("What is this?",), b"caf\xe9 is no UTF-8\n"),
    ],
    ids=["empty", "blank", "nothing", "empty-stdin", "binary", "latin1"],
)
def test_prompts_that_are_none(
    run_orch: Orch, tap: FakeTap, words: tuple[str, ...], given: bytes, snapshot: Any
) -> None:
    assert told(run_orch("run", *words, input=given)) == snapshot
    assert tap.asked == []


def test_an_argument_that_is_no_utf8(tap: FakeTap) -> None:
    done = subprocess.run([sys.executable, "-m", "llama_orch.cli", "run", b"caf\xe9"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"error: the prompt is not UTF-8 text\n\nhint: ")


def test_a_wrong_key(run_orch: Orch, tap: FakeTap, snapshot: Any) -> None:
    canary = "sk-canary-wrong-123456"
    done = run_orch("run", "Hi", env={"ORCH_API_KEY": canary})
    assert canary.encode() not in done.stdout + done.stderr
    assert told(done) == snapshot


@pytest.mark.parametrize(
    ("status", "fields", "code"),
    [
        (402, {"message": "the balance is 12 micro-euros", "code": "insufficient_credits", "balance": 12}, 5),
        (402, {"message": "the key may spend 1 EUR a day", "code": "budget_exceeded", "limit_source": "key"}, 5),
        (403, {"message": "this key may not use big", "code": "not_allowed"}, 4),
        (404, {"message": "no model bgi", "code": "model_not_found", "near_misses": ["big"]}, 1),
        (429, {"message": "slow down", "code": "rate_limited"}, 1),
        (400, {"message": "temperature is too high", "code": "bad_request", "param": "/temperature"}, 1),
        (500, {"message": "out of order"}, 3),
    ],
    ids=["credits", "budget", "not-allowed", "model", "rate", "bad", "broken"],
)
def test_what_a_tap_refuses(
    run_orch: Orch, tap: FakeTap, status: int, fields: dict[str, Any], code: int, snapshot: Any
) -> None:
    tap.error(status, fields.pop("message"), **fields)
    done = run_orch("run", "Hi")
    assert (done.returncode, done.stdout) == (code, b"")
    assert told(done) == snapshot


def test_context_too_long_names_both_numbers(run_orch: Orch, tap: FakeTap) -> None:
    tap.error(400, "too long", code="context_length_exceeded", limit=4096, asked=5000)
    done = run_orch("run", "Hi")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"4096" in done.stderr
    assert b"5000" in done.stderr


def test_nobody_answers(run_orch: Orch, tap: FakeTap) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    done = run_orch("run", "--target", f"http://127.0.0.1:{free}/v1", "-m", "x", "Hi")
    assert (done.returncode, done.stdout) == (3, b"")
    assert f"cannot be reached at http://127.0.0.1:{free}".encode() in done.stderr
    assert b"\n\nhint: " in done.stderr


def test_an_unknown_target(run_orch: Orch, orch_home: Path, snapshot: Any) -> None:
    assert told(run_orch("run", "--target", "pubilc", "Hi")) == snapshot
    assert told(run_orch("run", "--target", "public", "Hi")) == snapshot(name="no public tap")


def test_a_stream_that_breaks(run_orch: Orch, tap: FakeTap) -> None:
    tap.cut("What ", "came ")
    done = run_orch("run", "Hi")
    assert (done.returncode, done.stdout) == (3, b"What came \n")
    assert b"error: the stream of " in done.stderr
    shown = run_orch("logs", "show", "--json")
    assert b'"finish_reason": "error"' in shown.stdout
    assert b'"answer": "What came "' in shown.stdout


def test_an_error_inside_the_stream(run_orch: Orch, tap: FakeTap) -> None:
    tap.script(Script(("Half ",), late_error={"message": "the engine failed", "code": "engine_failed"}))
    done = run_orch("run", "Hi")
    assert (done.returncode, done.stdout) == (3, b"Half \n")
    assert b"the engine failed" in done.stderr


def test_a_full_disk_for_the_log_loses_no_answer(tap: FakeTap, orch_home: Path) -> None:
    """The limit on file sizes stands for the full disk: SQLite gets the same kind of error from the system."""
    done = subprocess.run(
        [sys.executable, "-m", "llama_orch.cli", "run", "Hi"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"Hello from the fake tap.\n")
    assert b"warning: this is not in the conversation log: " in done.stderr


def test_a_log_that_is_none_loses_no_answer(run_orch: Orch, tap: FakeTap, orch_home: Path) -> None:
    (orch_home / "state").mkdir(parents=True)
    (orch_home / "state" / "conversations.db").write_text("this is no database" * 100)
    done = run_orch("run", "Hi")
    assert (done.returncode, done.stdout) == (0, b"Hello from the fake tap.\n")
    assert b"warning: this is not in the conversation log: " in done.stderr


def test_a_full_disk_for_the_answer(tap: FakeTap) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "llama_orch.cli", "run", "Hi"],
            stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: No space left on device")


def test_a_config_that_does_not_parse(run_orch: Orch, orch_home: Path) -> None:
    (orch_home / "config").mkdir()
    (orch_home / "config" / "config.toml").write_text('model = "x"\ntarget = \n')
    done = run_orch("run", "Hi")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"config.toml" in done.stderr
    assert b"2" in done.stderr


def test_a_typo_is_no_command(run_orch: Orch, tap: FakeTap) -> None:
    done = run_orch("rnu", "Hi")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"did you mean 'run'?" in done.stderr
    assert tap.asked == []


def test_hints_are_words_of_the_command_line(run_orch: Orch, tap: FakeTap) -> None:
    """What a tap says to whoever writes HTTP by hand is not what to type here."""
    tap.error(404, "there is no model", code="model_not_found", near_misses=["tiny"], hint="GET /v1/models lists all")
    done = run_orch("run", "-m", "tony", "Hi")
    listing = f"orch models ls -t {tap.url}"
    assert done.stderr.decode().endswith(f"\n\nhint: did you mean tiny? {listing} shows all\n")
    tap.error(400, "no text here", code="unsupported", hint="ask another model: orch models ls")
    done = run_orch("run", "Hi")
    assert done.stderr.decode().endswith(f"\n\nhint: ask another model: {listing}\n")
    with FakeTap(models=["a", "b"]) as two:
        done = run_orch("run", "--target", two.url, "Hi")
    assert "(a, b): name one" in done.stderr.decode()
    assert f"hint: orch run -m MODEL ...; orch models ls -t {two.url}" in done.stderr.decode()
