# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds that are killed, interrupted, or two at once: nothing half-usable, nothing that runs on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest
from engine_home import Orch, left_behind, offline
from engines_waiting import arguments_of, processes_in, until

from llama_orch.engines import locks
from llama_orch.engines.place import Place

Listed = Callable[[], dict[str, dict[str, Any]]]
KILLS = int(os.environ.get("ORCH_TEST_ENGINE_KILLS", "3"))
"""How many builds are killed at random moments."""


def building(packages: Path, *words: str, orders: str = "slow") -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "llama_orch.cli", "engine", "build", "--backend", "cpu", "--no-speed"]
    return subprocess.Popen(
        [*command, *offline(packages), *words],
        env={**os.environ, "STAND_IN": orders},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def close(process: subprocess.Popen[bytes]) -> tuple[str, str]:
    out, err = process.communicate(timeout=60)
    return out.decode(), err.decode()


def compiling(home: Path) -> Callable[[], bool]:
    log = home / "state" / "logs" / "engine-cpu.log"
    return lambda: log.exists() and "Building CXX" in log.read_text()


def test_killed_at_random_moments_nothing_runs_on_and_the_next_build_is_whole(
    packages: Path, build: Orch, run_orch: Orch, listed: Listed, engines: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    for _ in range(KILLS):
        process = building(packages)
        time.sleep(draw.uniform(0.1, 3.0))  # the moment itself is what is tried
        process.kill()
        close(process)
        until(lambda: not processes_in(engines), "its children have ended")
        assert list(listed()) == ["installed"]
        assert not (engines / "cpu" / "engine.json").exists()
    done = build("--backend", "cpu")
    assert done.returncode == 0, done.stderr
    assert len(left_behind(engines / "cpu")) == 1
    assert b"prepaid credits" in run_orch("run", "-q", "What is the Public Tap?").stdout


def test_killed_while_it_replaces_one_the_old_one_stays(
    packages: Path, build: Orch, run_orch: Orch, engines: Path, orch_home: Path
) -> None:
    assert build("--backend", "cpu").returncode == 0
    record = (engines / "cpu" / "engine.json").read_bytes()
    (orch_home / "state" / "logs" / "engine-cpu.log").unlink()
    process = building(packages)
    until(compiling(orch_home), "it compiles")
    process.kill()
    close(process)
    until(lambda: not processes_in(engines / "cpu"), "its children have ended")
    assert (engines / "cpu" / "engine.json").read_bytes() == record
    assert run_orch("run", "-q", "hello").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_end_it_ends_at_once_and_leaves_nothing(
    packages: Path, engines: Path, orch_home: Path, number: signal.Signals
) -> None:
    process = building(packages)
    until(compiling(orch_home), "it compiles")
    process.send_signal(number)
    out, err = close(process)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert out == ""
    assert "Traceback" not in err
    until(lambda: not processes_in(engines), "its children have ended")
    if number == signal.SIGINT:
        assert left_behind(engines / "cpu") == []


def test_the_guard_is_killed_and_the_build_fails(packages: Path, engines: Path, orch_home: Path) -> None:
    process = building(packages)
    until(compiling(orch_home), "it compiles")
    (guard,) = [pid for pid in processes_in(engines) if any("guard.py" in word for word in arguments_of(pid))]
    os.kill(guard, signal.SIGKILL)
    _, err = close(process)
    assert process.returncode == 3
    assert "could not be built" in err
    until(lambda: not processes_in(engines), "its children have ended")
    assert left_behind(engines / "cpu") == []


def test_two_at_once_are_one_build(packages: Path, engines: Path, orch_home: Path, listed: Listed) -> None:
    first = building(packages, orders="")
    until(lambda: locks.is_held(engines / "cpu" / "lock"), "the first one holds the lock")
    second = building(packages, orders="")
    (_, one), (out, two) = close(first), close(second)
    assert (first.returncode, second.returncode) == (0, 0), (one, two)
    assert "another command is building cpu; waiting for it" in two
    assert "another command has built cpu meanwhile" in two
    assert "cpu" in out
    assert left_behind(engines / "cpu") == [json.loads((engines / "cpu" / "engine.json").read_bytes())["build"]]
    assert listed()["cpu"]["in_use"]


def test_another_wish_by_the_same_name_is_another_build(packages: Path, engines: Path, listed: Listed) -> None:
    first = building(packages, orders="")
    until(lambda: locks.is_held(engines / "cpu" / "lock"), "the first one holds the lock")
    second = building(packages, "-D", "GGML_AVX512=OFF", orders="")
    (_, one), (_, two) = close(first), close(second)
    assert (first.returncode, second.returncode) == (0, 0), (one, two)
    assert "meanwhile" not in two
    assert "GGML_AVX512=OFF" in listed()["cpu"]["flags"]


def test_who_waits_for_one_that_dies_builds_it(packages: Path, engines: Path, orch_home: Path) -> None:
    first = building(packages)
    until(compiling(orch_home), "the first one compiles")
    second = building(packages, orders="")
    heard = second.stderr
    assert heard is not None
    line = b""
    while b"waiting" not in line:
        line = heard.readline()
        assert line, "it says that it waits"
    first.kill()
    close(first)
    _, err = close(second)
    assert second.returncode == 0, err
    assert len(left_behind(engines / "cpu")) == 1


def test_two_names_are_built_at_once(packages: Path, listed: Listed) -> None:
    both = [building(packages, "--name", name, "--no-use", orders="") for name in ("one", "two")]
    said = [close(each) for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert set(listed()) == {"installed", "one", "two"}


def test_none_is_removed_while_it_is_built(packages: Path, build: Orch, run_orch: Orch, orch_home: Path) -> None:
    assert build("--backend", "cpu").returncode == 0
    held = locks.acquire(Place("cpu").lock)
    assert held is not None
    try:
        done = run_orch("engine", "rm", "cpu")
    finally:
        os.close(held)
    assert done.returncode == 1
    assert b"cpu is being built by another command" in done.stderr
    assert run_orch("engine", "rm", "cpu").returncode == 0


def test_a_terminal_shows_how_far_it_is(packages: Path, engines: Path, orch_home: Path) -> None:
    words = ["engine", "build", "--backend", "cpu", "--no-speed", *offline(packages)]
    child = pexpect.spawn(
        sys.executable, ["-m", "llama_orch.cli", *words], env={**os.environ, "TERM": "xterm", "STAND_IN": "slow"},
        dimensions=(24, 100), timeout=60,
    )  # fmt: skip
    child.expect("making an environment with uv")
    child.expect_exact("compiling llama.cpp for cpu")
    child.expect(r"\[#*\.+\] (\d+)/600")
    child.expect(r"\] (4\d|[5-9]\d)/600, \d+ (min \d+ )?s left")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert b"Traceback" not in child.before
    until(lambda: not processes_in(engines), "its children have ended")
