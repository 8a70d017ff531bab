# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch run` with real local workers."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from talk_terminal import Terminal

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]
Until = Callable[[Callable[[], object]], None]
NOTICE = b"note: orch-demo answers, the built-in demo"


def workers(run_orch: Orch) -> list[dict[str, Any]]:
    return json.loads(run_orch("ps", "--json").stdout)


ENDLESS = 'logit_bias={"509":-100,"511":-100}'
"""Without the tokens that would end the tiny model's answer."""


def long_answer(model: Path) -> list[str]:
    return ["run", "-n", "-q", "-m", str(model), "-o", "max_tokens=3500", "-o", "temperature=2", "-o", ENDLESS, "Write"]


def test_the_demo_answers_and_says_that_it_is_the_demo(run_orch: Orch) -> None:
    done = run_orch("run", "-o", "temperature=0", "What is the Public Tap?")
    assert done.returncode == 0
    assert done.stdout.strip()
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(NOTICE)
    assert b"orch models link FILE.gguf" in done.stderr
    again = run_orch("run", "-q", "-o", "temperature=0", "What is the Public Tap?")
    assert (again.stdout, again.stderr) == (done.stdout, b"")
    assert [each["model"] for each in workers(run_orch)] == ["orch-demo"]


def test_the_demo_never_stands_in_for_a_chosen_model(run_orch: Orch, tiny_gguf: Path) -> None:
    run_orch("models", "link", str(tiny_gguf), "-n", "my-model")
    done = run_orch("run", "-m", "my-modle", "Hi")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"my-model" in done.stderr
    for environment, words in (({}, ("-m", "my-model")), ({"ORCH_MODEL": "my-model"}, ())):
        done = run_orch("run", *words, "-o", "max_tokens=3", "Hi", env=environment)
        assert done.returncode == 0
        assert NOTICE not in done.stderr
    assert [each["model"] for each in workers(run_orch)] == ["my-model"]


def test_files_that_are_no_model(run_orch: Orch, tmp_path: Path) -> None:
    no_gguf = tmp_path / "text.gguf"
    no_gguf.write_text("this is no GGUF file, but it is long enough to look at " * 20)
    done = run_orch("run", "-m", str(no_gguf), "Hi")
    assert (done.returncode, done.stdout) == (3, b"")
    assert b"error: " in done.stderr
    assert b"Traceback" not in done.stderr
    done = run_orch("run", "-m", str(tmp_path / "nothere.gguf"), "Hi")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"No such file or directory" in done.stderr
    assert workers(run_orch) == []


def forgo_privileges() -> None:
    """Root may read everything; without these two capabilities it may not (capabilities(7))."""
    if os.getuid() == 0:
        library = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            assert library.prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP


def test_a_file_without_permission(orch_home: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed.gguf"
    closed.write_bytes(tiny_gguf.read_bytes())
    closed.chmod(0o000)
    done = subprocess.run(
        [sys.executable, "-m", "llama_orch.cli", "run", "-m", str(closed), "Hi"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, preexec_fn=forgo_privileges,
    )  # fmt: skip
    assert done.returncode in (1, 3)
    assert done.stdout == b""
    assert b"permission" in done.stderr.lower()
    assert b"\n\nhint: " in done.stderr
    assert b"Traceback" not in done.stderr


def test_ten_megabytes_are_refused_with_both_numbers(run_orch: Orch, tiny_gguf: Path) -> None:
    begun = time.monotonic()
    done = run_orch("run", "-m", str(tiny_gguf), input=b"word " * 2_000_000)
    assert (done.returncode, done.stdout) == (1, b"")
    told = re.match(rb"error: the prompt has (\d+) tokens, and the context holds 4096;", done.stderr)
    assert told is not None
    assert int(told[1]) > 1_000_000
    assert b"hint: " in done.stderr
    assert time.monotonic() - begun < 60


def test_two_at_once_share_one_worker(run_orch: Orch, start_orch: Start, tiny_gguf: Path) -> None:
    both = [start_orch("run", "-n", "-m", str(tiny_gguf), "-o", "max_tokens=20", "Hi") for _ in range(2)]
    for process in both:
        process.communicate(timeout=60)
    assert [process.returncode for process in both] == [0, 0]
    assert len(workers(run_orch)) == 1


def test_a_worker_that_is_killed_mid_stream(run_orch: Orch, start_orch: Start, tiny_gguf: Path) -> None:
    run_orch("run", "-q", "-m", str(tiny_gguf), "-o", "max_tokens=1", "Hi")
    worker = workers(run_orch)[0]["pid"]
    process = start_orch(*long_answer(tiny_gguf))
    assert process.stdout is not None
    first = os.read(process.stdout.fileno(), 1)
    os.kill(worker, signal.SIGKILL)
    out, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert len(first + out) > 1
    assert said.startswith(b"error: the worker of ")
    assert b"\n\nhint: " in said
    assert b"Traceback" not in said
    assert run_orch("run", "-q", "-m", str(tiny_gguf), "-o", "max_tokens=3", "Again").returncode == 0


def test_interrupted_while_it_streams(run_orch: Orch, start_orch: Start, tiny_gguf: Path, until: Until) -> None:
    words = [word for word in long_answer(tiny_gguf) if word not in ("-n", "-q")]
    process = start_orch(*words)
    assert process.stdout is not None
    os.read(process.stdout.fileno(), 1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"stopped after at least " in said
    assert b"nothing is charged on this machine" in said
    assert said.endswith(b"interrupted\n")
    until(lambda: workers(run_orch)[0]["active"] == 0)
    shown = json.loads(run_orch("logs", "show", "--json").stdout)
    assert shown[0]["finish_reason"] == "interrupted"
    assert shown[0]["answer"]


def test_interrupted_before_the_first_token(run_orch: Orch, start_orch: Start, tiny_gguf: Path, until: Until) -> None:
    """While the worker starts, and while the prompt is read: as early as it can be hit, again and again."""
    for wait in (0.15, 0.3, 0.5, 0.8):
        process = start_orch("run", "-m", str(tiny_gguf), "word " * 200)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode in (130, -signal.SIGINT), said
        assert b"Traceback" not in said or wait == 0.15, said
        until(lambda: all(each["active"] == 0 and each["queued"] == 0 for each in workers(run_orch)))
    assert run_orch("run", "-q", "-m", str(tiny_gguf), "-o", "max_tokens=3", "Again").returncode == 0


def test_head_ends_it_quietly(run_orch: Orch, tiny_gguf: Path, until: Until) -> None:
    command = shlex.join([sys.executable, "-m", "llama_orch.cli", *long_answer(tiny_gguf)])
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (b"141\n", b"")
    until(lambda: workers(run_orch)[0]["active"] == 0)


def test_the_start_of_a_worker_is_shown_on_a_terminal(terminal: Callable[..., Terminal], tiny_gguf: Path) -> None:
    screen = terminal("run", "-n", "-m", str(tiny_gguf), "-o", "max_tokens=5", "Hi")
    assert screen.end() == 0
    assert b"loading the model [" in screen.written
    assert "loading" not in screen.text()


def test_the_bar_is_gone_before_an_error(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(2000))
    screen = terminal("run", "-n", "-m", str(broken), "Hi")
    assert screen.end() == 3
    assert any(line.startswith("error: ") for line in screen.lines())
    assert "loading the model" not in screen.text()


def test_the_bar_is_gone_after_an_interrupt(terminal: Callable[..., Terminal], tiny_gguf: Path) -> None:
    screen = terminal("run", "-n", "-m", str(tiny_gguf), "Hi")
    screen.wait(lambda: b"loading the model" in screen.written)
    screen.press("c")
    assert screen.end() == 130
    assert screen.lines()[-1] == "interrupted"
    assert "loading the model" not in screen.text()


def test_the_second_of_two_starters_says_that_it_waits(orch_home: Path, tiny_gguf: Path, capsys: Any) -> None:
    """The lock of the keeper decides; the one that waits hears of it."""
    from llama_orch.cli.output import Output
    from llama_orch.cli.run.loading import Loading
    from llama_orch.pool.local import launcher
    from llama_orch_utils.targets.local import WorkerSettings

    listeners = [Loading(Output()), Loading(Output())]
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda each=each: found.append(launcher(str(tiny_gguf), WorkerSettings(), each)))
        for each in listeners
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0].pid == found[1].pid
    assert "another command is starting this worker" in capsys.readouterr().err
