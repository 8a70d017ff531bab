# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch chat` on a real terminal, with a tap and with the real local worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from talk_terminal import Terminal

from llama_orch_utils.testing import FakeTap, Script

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
Open = Callable[..., Terminal]
KEY = "sk-canary-4711-abcdef-0815"


@pytest.fixture
def chat(terminal: Open, tap: FakeTap) -> Terminal:
    screen = terminal("chat", "-m", "big", columns=100, lines=40)
    screen.wait("/help lists the words")
    screen.wait(">>>")
    return screen


def prompts(screen: Terminal) -> int:
    return sum(line.startswith(">>>") for line in screen.lines())


def say(screen: Terminal, text: str) -> None:
    """Type a line, and wait until the next prompt is there."""
    before = prompts(screen)
    screen.type(text + "\r")
    screen.wait(lambda: prompts(screen) > before)


def said(tap: FakeTap) -> list[tuple[str, str]]:
    return [(each["role"], each["content"]) for each in tap.asked[-1].messages]


def test_a_conversation_remembers(chat: Terminal, tap: FakeTap, run_orch: Orch) -> None:
    tap.answer("**Robin**")
    say(chat, "A bird?")
    assert "Robin" in chat.text()
    assert "**Robin**" not in chat.text()
    tap.answer("Wren")
    say(chat, "Another?")
    assert said(tap) == [("user", "A bird?"), ("assistant", "**Robin**"), ("user", "Another?")]
    chat.press("d")
    assert chat.end() == 0
    logged = json.loads(run_orch("logs", "ls", "--json").stdout)
    assert [(each["turns"], each["prompt"]) for each in logged] == [(2, "A bird?")]


def test_without_a_prompt_run_is_a_chat(terminal: Open, tap: FakeTap) -> None:
    screen = terminal("run", "-m", "big", "-s", "Be brief.")
    screen.wait(">>>")
    say(screen, "Hi")
    assert said(tap) == [("system", "Be brief."), ("user", "Hi")]
    screen.type("/quit\r")
    assert screen.end() == 0


def test_many_lines(chat: Terminal, tap: FakeTap) -> None:
    chat.type("one\\\r")
    chat.wait("...")
    say(chat, "two")
    assert said(tap)[-1] == ("user", "one\ntwo")
    chat.type('"""first\r')
    chat.wait(lambda: chat.lines()[-1].startswith("..."))
    chat.type("\r")
    say(chat, 'last"""')
    assert said(tap)[-1] == ("user", "first\n\nlast")
    say(chat, '"""all on one"""')
    assert said(tap)[-1] == ("user", "all on one")


def test_the_arrow_up_brings_back_what_was_typed_also_the_next_time(
    chat: Terminal, tap: FakeTap, terminal: Open, orch_home: Path
) -> None:
    say(chat, "What is a wren?")
    chat.type("\x1b[A")
    chat.wait(lambda: chat.text().count(">>> What is a wren?") == 2)
    say(chat, " And why?")
    assert said(tap)[-1] == ("user", "What is a wren? And why?")
    say(chat, f"my key is {KEY}")
    chat.type("/quit\r")
    assert chat.end() == 0
    history = orch_home / "state" / "chat_history"
    assert history.stat().st_mode & 0o777 == 0o600
    assert KEY not in history.read_text()
    again = terminal("chat", "-m", "big")
    again.wait(">>>")
    again.type("\x1b[A\x1b[A\x1b[A")
    again.wait(">>> What is a wren? And why?")
    again.type("\r")
    again.wait("fake tap")
    assert said(tap)[-1] == ("user", "What is a wren? And why?")


def test_the_words_with_a_slash(chat: Terminal, tap: FakeTap, tmp_path: Path) -> None:
    say(chat, "/help")
    assert all(word in chat.text() for word in ("/system", "/model", "/target", "/save", "/clear", "/usage", "/quit"))
    say(chat, "/system Be brief.")
    say(chat, "Hi")
    assert said(tap) == [("system", "Be brief."), ("user", "Hi")]
    say(chat, "/usage")
    assert "1 answer: 3 tokens in (0 cached), 5 out" in chat.text()
    say(chat, f"/save {tmp_path / 'talk.md'}")
    saved = (tmp_path / "talk.md").read_text()
    assert saved.startswith("## System\n\nBe brief.\n\n## Question\n\nHi\n\n## Answer\n\nHello")
    say(chat, f"/save {tmp_path / 'talk.md'}")
    assert "is there already" in chat.text().replace("\n", "")  # a long path wraps
    say(chat, f"/save {tmp_path / 'talk.json'}")
    roles = [each["role"] for each in json.loads((tmp_path / "talk.json").read_text())]
    assert roles == ["system", "user", "assistant"]
    say(chat, "/clear")
    say(chat, "/system -")
    say(chat, "New")
    assert said(tap) == [("user", "New")]
    say(chat, "/modle x")
    assert "did you mean '/model'?" in chat.text()
    say(chat, " /etc/hosts is what?")
    assert said(tap)[-1] == ("user", " /etc/hosts is what?")


def test_another_model_and_target(chat: Terminal, tap: FakeTap) -> None:
    tap.models = ("big", "bigger")
    say(chat, "/model biger")
    assert "did you mean 'bigger'?" in chat.text()
    say(chat, "/model bigger")
    assert "bigger at http://127.0.0.1" in chat.text()
    say(chat, "Hi")
    assert tap.asked[-1].json["model"] == "bigger"
    say(chat, "/target nowhere")
    assert "there is no target nowhere" in chat.text()
    with FakeTap(models=("other",)) as other:
        say(chat, f"/target {other.url}")
        say(chat, "You there?")
        assert [each["content"] for each in other.asked[-1].messages][-1] == "You there?"
        assert other.asked[-1].key in (None, KEY)
        chat.press("d")
        assert chat.end() == 0


def test_the_interrupt_stops_an_answer_and_the_second_at_the_prompt_ends_it(chat: Terminal, tap: FakeTap) -> None:
    tap.script(Script(tuple(["word "] * 500), pause=0.05))
    chat.type("Go\r")
    chat.wait("word word")
    chat.press("c")
    chat.wait("stopped after at least")
    tap.wait_left(1)
    chat.wait(lambda: prompts(chat) == 2)
    say(chat, "Still there?")
    assert said(tap)[-3][1] == "Go"
    assert said(tap)[-2][1].startswith("word word")
    chat.type("half a line")
    chat.wait("half a line")  # what is typed and not yet read is lost with the interrupt
    chat.press("c")
    chat.wait("^C again or ^D ends")
    chat.press("c")
    assert chat.end() == 130


def test_errors_do_not_end_it(chat: Terminal, tap: FakeTap) -> None:
    tap.error(400, "too long", code="context_length_exceeded", limit=100, asked=250)
    say(chat, "long " * 5)
    assert "250 tokens" in chat.text()
    assert "holds 100" in chat.text()
    assert "/clear forgets" in chat.text()
    tap.error(402, "no money", code="insufficient_credits", balance=0)
    say(chat, "Hi")
    assert "error: no money" in chat.text()
    tap.cut("half ")
    say(chat, "Hi")
    assert "error: the stream of" in chat.text()
    say(chat, "Now?")
    assert said(tap) == [("user", "Now?")]
    chat.press("d")
    assert chat.end() == 0


def test_it_needs_a_terminal(run_orch: Orch, tap: FakeTap) -> None:
    done = run_orch("chat", input=b"Hi\n")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"needs a terminal" in done.stderr


def test_with_the_real_worker(terminal: Open, run_orch: Orch) -> None:
    screen = terminal("chat", "-u", "-o", "max_tokens=12", "-o", "temperature=0")
    screen.wait("orch-demo answers, the built-in demo")
    screen.wait(">>>")
    say(screen, "What is the Public Tap?")
    screen.wait("tokens: ")
    say(screen, "And a Private Tap?")
    worker = json.loads(run_orch("ps", "--json").stdout)
    assert [each["model"] for each in worker] == ["orch-demo"]
    os.kill(worker[0]["pid"], signal.SIGKILL)
    say(screen, "Are you still there?")
    say(screen, "/usage")
    assert "3 answers: " in screen.text()
    say(screen, "/model nothere")
    assert "there is no model 'nothere'" in screen.text()
    screen.press("d")
    assert screen.end() == 0
    shown = json.loads(run_orch("logs", "show", "--json").stdout)
    asked = [each["prompt"] for each in shown]
    assert asked == ["What is the Public Tap?", "And a Private Tap?", "Are you still there?"]
    assert shown[1]["cached_tokens"] > 0
