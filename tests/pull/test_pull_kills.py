# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 in the middle of a download, and two pulls of one file at once: real processes, a real server."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hub_server import Hub
from pull_home import longer, sha256

REPO = "o/M-GGUF"
KILLS = 20
SIZE = 24_000_000
PULL = [sys.executable, "-m", "llama_orch.cli", "pull", f"hf://{REPO}", "--json"]


def begun(home: Path) -> int:
    """Bytes of the unfinished file."""
    found = list((home / "data" / "models").rglob("*.part"))
    return sum(path.stat().st_size for path in found)


def wait_until(what: str, holds: object, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


def test_killed_20_times_it_fetches_no_byte_twice_and_ends_with_the_right_digest(
    orch_home: Path, hub: Hub, tiny_gguf: Path
) -> None:
    seed = int(os.environ.get("ORCH_TEST_SEED", str(random.randrange(2**32))))
    print("seed", seed)
    chance = random.Random(seed)
    data = longer(tiny_gguf.read_bytes(), SIZE, seed)
    hub.add(REPO, {"M-Q8_0.gguf": data})
    hub.rate = 12_000_000
    for number in range(1, KILLS + 1):
        before, asked = begun(orch_home), len(hub.requests("storage"))
        process = subprocess.Popen(PULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # A moment in the middle: after so many bytes of this run, which ends somewhere before kill number / 21.
        goal = max(before + 1, chance.randrange(SIZE * number // (KILLS + 1)))
        wait_until(f"kill {number} at {goal}", lambda goal=goal: begun(orch_home) >= goal, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        (request,) = hub.requests("storage")[asked:]
        assert request.start == before  # exactly where the one before was killed
        assert not list((orch_home / "data" / "models").rglob("sha256-*"))
    kept = begun(orch_home)
    hub.rate = 0
    done = subprocess.run(PULL, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert hub.requests("storage")[-1].start == kept > 0
    (blob,) = (orch_home / "data" / "models").rglob("sha256-*")
    assert sha256(blob.read_bytes()) == sha256(data)


def test_killed_between_the_last_byte_and_the_installation_nothing_is_fetched_again(
    orch_home: Path, hub: Hub, tiny_gguf: Path
) -> None:
    data = longer(tiny_gguf.read_bytes(), 2_000_000)
    hub.add(REPO, {"M-Q8_0.gguf": data})
    partial = orch_home / "data" / "models" / "partial"
    partial.mkdir(parents=True)
    (partial / f"{sha256(data)}.part").write_bytes(data)
    done = subprocess.run(PULL, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert hub.requests("storage") == []
    assert b'"fetched": 0' in done.stdout


def test_of_two_pulls_one_fetches_and_the_other_waits_and_says_so(orch_home: Path, hub: Hub, tiny_gguf: Path) -> None:
    data = longer(tiny_gguf.read_bytes(), 4_000_000)
    hub.add(REPO, {"M-Q8_0.gguf": data})
    hub.rate = 100_000
    first = subprocess.Popen(PULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until("the first begins", lambda: begun(orch_home) > 0, first)
    second = subprocess.Popen(PULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert second.stderr is not None
    said = second.stderr.readline() + second.stderr.readline()
    assert b"another pull fetches M-Q8_0.gguf; waiting for it" in said
    hub.rate = 0
    (out, err), (waited, rest) = first.communicate(timeout=60), second.communicate(timeout=60)
    assert first.returncode == 0, err
    assert second.returncode == 0, rest
    assert b'"fetched": 4000000' in out
    assert b'"fetched": 0' in waited
    assert len(hub.requests("storage")) == 1


def test_when_the_one_that_fetches_is_killed_the_other_goes_on(orch_home: Path, hub: Hub, tiny_gguf: Path) -> None:
    data = longer(tiny_gguf.read_bytes(), 6_000_000)
    hub.add(REPO, {"M-Q8_0.gguf": data})
    hub.rate = 100_000  # it cannot end before the second has come, however slowly that starts
    first = subprocess.Popen(PULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until("the first begins", lambda: begun(orch_home) > 0, first)
    asked = len(hub.requests("api"))
    second = subprocess.Popen(PULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until("the second has asked", lambda: len(hub.requests("api")) > asked, second)
    had = begun(orch_home)
    wait_until("more has come", lambda: begun(orch_home) > had, first)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    kept = begun(orch_home)
    hub.rate = 0
    _, err = second.communicate(timeout=60)
    assert second.returncode == 0, err
    assert [each.start for each in hub.requests("storage")] == [0, kept]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_keeps_what_came(orch_home: Path, hub: Hub, tiny_gguf: Path, end: signal.Signals) -> None:
    data = longer(tiny_gguf.read_bytes(), 4_000_000)
    hub.add(REPO, {"M-Q8_0.gguf": data})
    hub.rate = 4_000_000
    process = subprocess.Popen(PULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until("it begins", lambda: begun(orch_home) > 500_000, process)
    process.send_signal(end)
    out, err = process.communicate(timeout=30)
    assert process.returncode != 0
    assert out == b""
    assert b"Traceback" not in err
    kept = begun(orch_home)
    assert kept > 0
    hub.rate = 0
    assert subprocess.run(PULL, capture_output=True, check=False, timeout=60).returncode == 0
    assert hub.requests("storage")[-1].start == kept
