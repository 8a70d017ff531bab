# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch run --tool` and the tools of `orch chat`: asked before, shown, and never in the answer's way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from talk_terminal import Terminal

from llama_orch_utils.testing import FakeCall, FakeTap

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
Open = Callable[..., Terminal]
TOOLS = """
import asyncio
from typing import Literal
from llama_orch_utils import tool

@tool
def weather(city: str) -> str:
    "Weather of a city, in words."
    print("looking it up")
    return f"rain in {city}"

@tool
async def clock() -> str:
    "The time."
    await asyncio.sleep(0)
    print("looking at it")
    return "three"

def plain(number: int) -> int:
    "Doubles it."
    return 2 * number

def pick(size: Literal["small", "large"]) -> str:
    "Picks one."
    return f"{size} it is"

def leaves() -> str:
    raise SystemExit(4)

def broken() -> str:
    raise OSError("the disk is gone, and the key is sk-canary-4711-abcdef-0815")

def odd(number: int, /) -> None: ...

no_function = 3
"""
CITY = FakeCall("weather", {"city": "Utrecht"})


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_tools.py").write_text(TOOLS)
    monkeypatch.chdir(tmp_path)
    return "my_tools.py"


def test_a_tool_runs_and_only_the_answer_is_on_stdout(run_orch: Orch, tap: FakeTap, tools: str) -> None:
    tap.calls(CITY, reasoning=("hm",), pieces=("Let me see.",)).answer("Take a coat.")
    done = run_orch("run", "--tool", f"{tools}:weather", "--yes", "A coat?")
    assert (done.returncode, done.stdout) == (0, b"Let me see.\nTake a coat.\n")
    assert done.stderr == b"hm\n\ntool: weather(city='Utrecht')\nlooking it up\n  -> rain in Utrecht\n"
    assert tap.asked[-1].messages[-1]["content"] == "rain in Utrecht"
    tap.calls(CITY).answer("Take a coat.")
    done = run_orch("run", "-q", "-n", "-y", "-T", "my_tools:weather", "A coat?")
    assert (done.stdout, done.stderr) == (b"Take a coat.\n", b"looking it up\n")


def test_every_tool_of_a_file(run_orch: Orch, tap: FakeTap, tools: str) -> None:
    tap.calls(CITY, FakeCall("clock"), FakeCall("plain", {"number": 2})).answer("ok")
    done = run_orch("run", "--tool", tools, "--tool", f"{tools}:plain", "--yes", "--json", "A coat?")
    data = json.loads(done.stdout)
    assert tap.asked[-1].tools == ["weather", "clock", "plain"]
    assert (data["text"], data["steps"]) == ("ok", 2)
    assert data["tool_calls"] == [
        {"name": "weather", "arguments": {"city": "Utrecht"}, "result": "rain in Utrecht", "failed": False},
        {"name": "clock", "arguments": {}, "result": "three", "failed": False},
        {"name": "plain", "arguments": {"number": 2}, "result": "4", "failed": False},
    ]
    logged = json.loads(run_orch("logs", "show", data["conversation"], "--json").stdout)
    assert (logged[0]["prompt"], logged[0]["answer"]) == ("A coat?", "ok")


def test_a_tool_that_fails_tells_the_model_and_no_secret(run_orch: Orch, tap: FakeTap, tools: str) -> None:
    tap.calls(FakeCall("broken")).answer("Sorry.")
    done = run_orch("run", "--tool", f"{tools}:broken", "--yes", "Hi")
    assert (done.returncode, done.stdout) == (0, b"Sorry.\n")
    assert b"-> error: OSError: the disk is gone, and the key is [key]" in done.stderr
    assert b"Traceback" not in done.stderr
    assert "sk-canary" not in json.dumps(tap.asked[-1].messages)


def test_a_tool_that_calls_exit_has_failed_and_ends_nothing(run_orch: Orch, tap: FakeTap, tools: str) -> None:
    tap.calls(FakeCall("leaves")).answer("Sorry.")
    done = run_orch("run", "--tool", f"{tools}:leaves", "--yes", "Hi")
    assert (done.returncode, done.stdout) == (0, b"Sorry.\n")
    assert b"-> error: the tool called sys.exit(4)" in done.stderr


def test_steps_are_bounded(run_orch: Orch, tap: FakeTap, tools: str) -> None:
    for _ in range(3):
        tap.calls(CITY)
    done = run_orch("run", "--tool", f"{tools}:weather", "--yes", "--max-steps", "2", "Hi")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"error: after 2 steps the model still calls tools (weather)" in done.stderr
    assert b"\n\nhint: " in done.stderr
    assert len(tap.asked) - sum(each.path == "/v1/models" for each in tap.asked) == 2


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--tool", "my_tools.py:wether", "-y"), 2, "my_tools.py has no function 'wether'; did you mean 'weather'?"),
        (("--tool", "my_tools.py:no_function", "-y"), 2, "my_tools.py has no function 'no_function'"),
        (("--tool", "nothere.py:x", "-y"), 2, "cannot read nothere.py"),
        (("--tool", "nothere_at_all:x", "-y"), 2, "--tool nothere_at_all cannot be loaded: ModuleNotFoundError"),
        (("--tool", "json", "-y"), 2, "--tool needs MODULE:FUNC or FILE.py:FUNC, not 'json'"),
        (("--tool", "wrong.py:x", "-y"), 2, "--tool wrong.py cannot be loaded: SyntaxError"),
        (("--tool", "leaves.py:x", "-y"), 2, "--tool leaves.py cannot be loaded: SystemExit: 0"),
        (("--tool", "empty.py", "-y"), 2, "empty.py has no @tool"),
        (("--tool", "my_tools.py:odd", "-y"), 1, "tool odd: a model cannot give number"),
        (("--tool", "my_tools.py", "--tool", "my_tools.py:clock", "-y"), 2, "there are two tools called clock"),
        (("--yes",), 2, "--yes is about --tool"),
        (("--max-steps", "3"), 2, "--max-steps is about --tool"),
        (("--max-steps", "0"), 2, "--max-steps needs a whole number from 1 to 100"),
    ],
)
def test_what_cannot_be_loaded_is_told_before_anything_is_asked(
    run_orch: Orch, tap: FakeTap, tools: str, words: tuple[str, ...], code: int, told: str
) -> None:
    Path("wrong.py").write_text("def x(:\n")
    Path("empty.py").write_text("x = 1\n")
    Path("leaves.py").write_text("raise SystemExit(0)\n")
    done = run_orch("run", *words, "Hi")
    assert (done.returncode, done.stdout) == (code, b"")
    assert told in done.stderr.decode()
    assert "\n\nhint: " in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert tap.asked == []


def test_without_a_terminal_yes_is_needed(tap: FakeTap, tools: str) -> None:
    command = [sys.executable, "-m", "llama_orch.cli", "run", "--tool", f"{tools}:weather", "Hi"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert b"there is no terminal to ask at\n\nhint: add --yes" in done.stderr
    assert tap.asked == []


def test_it_asks_before_it_runs(terminal: Open, tap: FakeTap, tools: str) -> None:
    other = FakeCall("weather", {"city": "Paris"})
    tap.calls(CITY).calls(other).calls(CITY, other).answer("Done.")
    screen = terminal("run", "-m", "big", "--tool", f"{tools}:weather", "A coat?", columns=100, lines=40)
    screen.wait("run weather(city='Utrecht')? [y]es, [N]o, [a]lways:")
    assert b"looking it up" not in screen.written
    screen.type("y\r")
    screen.wait("run weather(city='Paris')? ")
    assert screen.written.count(b"looking it up") == 1
    screen.type("\r")
    screen.wait("-> error: the user declined this call")
    screen.type("a\r")
    assert screen.end() == 0
    assert screen.lines()[-1] == "Done."
    assert screen.written.count(b"looking it up") == 3
    told = [each["content"] for each in tap.asked[-1].messages if each["role"] == "tool"]
    assert told == ["rain in Utrecht", "error: the user declined this call", "rain in Utrecht", "rain in Paris"]


def test_it_asks_at_the_terminal_also_when_stdin_is_a_pipe(terminal: Open, tap: FakeTap, tools: str) -> None:
    tap.calls(CITY).answer("Done.")
    line = f"echo A coat? | {sys.executable} -m llama_orch.cli run -m big --tool {tools}:weather > out.txt"
    screen = terminal(command=["bash", "-c", line])
    screen.wait("run weather(city='Utrecht')?")
    screen.type("y\r")
    assert screen.end() == 0
    assert Path("out.txt").read_text() == "Done.\n"


def test_an_interrupt_at_the_question_ends_it(terminal: Open, tap: FakeTap, tools: str) -> None:
    tap.calls(CITY).answer("Done.")
    screen = terminal("run", "-m", "big", "--tool", f"{tools}:weather", "A coat?")
    screen.wait("run weather(")
    screen.press("c")
    assert screen.end() == 130
    assert b"looking it up" not in screen.written


def test_what_a_model_calls_cannot_move_the_cursor(terminal: Open, tap: FakeTap, tools: str) -> None:
    tap.calls(FakeCall("weather", {"city": "\x1b[2J\x1b]0;title\x07\nrun safe()? "})).answer("Done.")
    screen = terminal("run", "-m", "big", "--tool", f"{tools}:weather", "A coat?", columns=140)
    screen.wait("[a]lways:")
    assert b"\x1b[2J" not in screen.written
    assert b"\x1b]0;title" not in screen.written
    assert not [line for line in screen.lines() if line.startswith("run safe()")]
    screen.type("n\r")
    assert screen.end() == 0


def test_a_chat_with_tools(terminal: Open, tap: FakeTap, tools: str) -> None:
    screen = terminal("chat", "-m", "big", "--tool", f"{tools}:weather", columns=100, lines=50)
    screen.wait(">>>")
    tap.calls(CITY).answer("Take a coat.")
    screen.type("A coat?\r")
    screen.wait("run weather(city='Utrecht')?")
    screen.type("a\r")
    screen.wait("Take a coat.")
    tap.calls(FakeCall("clock")).answer("It is three.")
    screen.type(f"/tools {tools}:clock\r")
    screen.wait("clock  The time.")
    screen.type("The time?\r")
    screen.wait("It is three.")
    roles = [each["role"] for each in tap.asked[-1].messages]
    assert roles == ["user", "assistant", "tool", "assistant", "user", "assistant", "tool"]
    assert tap.asked[-1].tools == ["weather", "clock"]
    screen.type(f"/tools {tools}:clock\r")
    screen.wait("there is a tool called clock already")
    screen.type("/tools -\r")
    screen.wait("there are no tools")
    screen.type("/save said.md\r")
    screen.wait("saved in said.md")
    assert '`weather({"city": "Utrecht"})`' in Path("said.md").read_text()
    tap.answer("So long.")
    screen.type("Bye\r")
    screen.wait("So long.")
    screen.wait(lambda: screen.lines()[-1] == ">>>")
    assert "tools" not in tap.asked[-1].json
    screen.press("d")
    assert screen.end() == 0


def test_a_real_worker_calls_what_it_is_forced_to(run_orch: Orch, tiny_gguf: Path, tools: str) -> None:
    """Random weights call in every format's form, as the grammar holds them; then they answer nonsense."""
    words = ["temperature=0", "max_tokens=200", "tool_choice=required", "parallel_tool_calls=false"]
    done = run_orch(
        "run", "-m", str(tiny_gguf), "--tool", f"{tools}:pick", "-y", "--json",
        *(each for word in words for each in ("-o", word)), "Which one?",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["steps"] == 2
    (call,) = data["tool_calls"]
    assert (call["name"], call["failed"]) == ("pick", False)
    assert call["result"] == f"{call['arguments']['size']} it is"
