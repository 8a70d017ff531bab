# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers that compute on one device at once divide its time; one that is killed or stopped harms nobody."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import freeze

from llama_orch.worker.device_time import DeviceTime
from llama_orch_utils.errors import ConfigError

WORK = """
import json, random, sys, time
from pathlib import Path
from llama_orch.worker.device_time import DeviceTime

folder, devices, seconds, seed = Path(sys.argv[1]), sys.argv[2].split(","), float(sys.argv[3]), sys.argv[4]
chance = random.Random(seed)
meter = DeviceTime(folder, devices)
print("ready", flush=True)
sys.stdin.readline()
end, total, laps = time.monotonic() + seconds, 0.0, 0
first = last = time.monotonic()
while time.monotonic() < end:
    meter.begin()
    for _ in range(chance.randrange(1, 20)):
        time.sleep(chance.random() * 0.002)
        total += meter.lap()
        laps += 1
    meter.end()
    last = time.monotonic()
    if chance.random() < 0.3:
        time.sleep(chance.random() * 0.01)
print(json.dumps({"total": total, "first": first, "last": last, "laps": laps}), flush=True)
"""


def begin(folder: Path, devices: str, seconds: float, seed: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, str(folder), devices, str(seconds), str(seed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.kill()
        process.communicate()


def told(process: subprocess.Popen[str]) -> dict[str, float]:
    out, _ = process.communicate(timeout=120)
    return json.loads(out)


@pytest.mark.parametrize("count", [1, 3])
def test_all_together_get_the_time_in_which_anybody_worked(tmp_path: Path, count: int) -> None:
    running = [begin(tmp_path / "busy", "CUDA0", 1.0, seed) for seed in range(count)]
    go(*running)
    found = [told(process) for process in running]
    wall = max(each["last"] for each in found) - min(each["first"] for each in found)
    assert min(each["laps"] for each in found) > 0
    assert 0 < sum(each["total"] for each in found) <= wall + 1e-6


def test_each_device_counts_by_itself(tmp_path: Path) -> None:
    """A model on two devices pays both; one beside it on the second shares that one only."""
    both, second = begin(tmp_path / "busy", "CUDA0,CUDA1", 1.0, 1), begin(tmp_path / "busy", "CUDA1", 1.0, 2)
    go(both, second)
    found = [told(both), told(second)]
    wall = max(each["last"] for each in found) - min(each["first"] for each in found)
    assert sum(each["total"] for each in found) <= 2 * wall + 1e-6
    assert 0 < found[1]["total"] <= wall + 1e-6


def test_one_that_is_killed_at_work_is_not_counted_for_ever(tmp_path: Path) -> None:
    folder = tmp_path / "busy"
    victim = begin(folder, "CPU", 600.0, 3)
    go(victim)
    meter = DeviceTime(folder, ["CPU"])
    meter.begin()
    time.sleep(0.05)
    meter.lap()
    end(victim)
    deadline = time.monotonic() + 60
    alone = False
    while not alone:
        assert time.monotonic() < deadline
        before = time.monotonic()
        meter.lap()
        time.sleep(0.02)
        passed = meter.lap()
        alone = passed >= 0.9 * 0.02
        assert passed <= time.monotonic() - before
    meter.close()


def test_one_that_stands_still_does_not_stop_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "busy"
    frozen = [begin(folder, "CPU", 600.0, seed) for seed in range(3)]
    go(*frozen)
    time.sleep(0.1)
    freeze(*(process.pid for process in frozen))
    meter = DeviceTime(folder, ["CPU"])
    begun, total = time.monotonic(), 0.0
    meter.begin()
    for _ in range(50):
        time.sleep(0.001)
        total += meter.lap()
    assert total <= time.monotonic() - begun
    meter.end()
    end(*frozen)
    meter.close()


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError):
        DeviceTime(tmp_path / "file" / "busy", ["CPU"])
