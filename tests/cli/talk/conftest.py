# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the talking commands share."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from talk_terminal import ORCH, Terminal

from llama_orch_utils.testing import FakeTap

KEY = "sk-canary-4711-abcdef-0815"


@pytest.fixture
def tap(orch_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTap]:
    """A fake tap that the command finds as its target, with a key that may show up nowhere."""
    with FakeTap(key=KEY) as tap:
        monkeypatch.setenv("ORCH_TARGET", tap.url)
        monkeypatch.setenv("ORCH_API_KEY", KEY)
        yield tap


@pytest.fixture
def terminal(orch_home: Path) -> Iterator[Callable[..., Terminal]]:
    """Starts `orch` (or another `command`) on a terminal; what still runs at the end is killed."""
    opened: list[Terminal] = []

    def open_(*words: str, command: list[str] | None = None, **options: object) -> Terminal:
        opened.append(Terminal(*(command or ORCH), *words, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


@pytest.fixture
def start_orch(orch_home: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts `orch` with pipes, and leaves it running."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: str, **options: object) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen([sys.executable, "-m", "llama_orch.cli", *words], **{**pipes, **options}))  # type: ignore[call-overload]
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Waits for a condition, with a deadline."""

    def wait(is_so: Callable[[], object], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, "it never became so"
            time.sleep(0.01)

    return wait
