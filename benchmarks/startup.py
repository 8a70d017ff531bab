# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU time from start to end of `orch --version`, `orch --help`, TAB and `import llama_orch_utils`.

Each case is a child process; its user and system time come from wait4(2). The cases are interleaved round by round, so
that what else the machine does hits all of them; the median counts, and its ratio to the bare interpreter. The peer
`llm` is measured beside them when the path of its command is given, or one is on PATH.

    python benchmarks/startup.py [--rounds 15] [--llm PATH] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

BUDGETS = {"orch --version": 25.0, "orch --help": 100.0, "TAB": 100.0, "import llama_orch_utils": 20.0}


def cases(llm: str | None) -> dict[str, list[str]]:
    """The command lines by name; `orch` is the one beside this interpreter."""
    orch = str(Path(sys.executable).with_name("orch"))
    found = {
        "bare python": [sys.executable, "-c", "pass"],
        "orch --version": [orch, "--version"],
        "orch --help": [orch, "--help"],
        "TAB": [orch, "_complete", "fish", "show", ""],
        "import llama_orch_utils": [sys.executable, "-c", "import llama_orch_utils"],
        "orch ls": [orch, "ls"],
    }
    if llm:
        found |= {"llm --version": [llm, "--version"], "llm --help": [llm, "--help"]}
    return found


def cpu_milliseconds(command: list[str]) -> float:
    """User and system time of one run; ends the program if the run failed."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, nowhere, stream) for stream in (0, 1, 2)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    _, status, used = os.wait4(pid, 0)
    os.close(nowhere)
    if status:
        sys.exit(f"{' '.join(command)} failed: status {status}")
    return (used.ru_utime + used.ru_stime) * 1000


def measure(rounds: int, llm: str | None) -> dict[str, dict[str, float | None]]:
    """Median, fastest, ratio to the bare interpreter and budget of each case, in milliseconds of CPU."""
    commands = cases(llm)
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            spent = cpu_milliseconds(command)
            if turn:  # the first round fills the caches
                times[name].append(spent)
    bare = statistics.median(times["bare python"])
    return {
        name: {
            "median_ms": round(statistics.median(spent), 2),
            "fastest_ms": round(min(spent), 2),
            "ratio_to_bare": round(statistics.median(spent) / bare, 2),
            "budget_ms": BUDGETS.get(name),
        }
        for name, spent in times.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--llm", default=shutil.which("llm"), help="the peer's command, from an environment of its own")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orch-") as home:
        os.environ["ORCH_HOME"] = home
        found = measure(given.rounds, given.llm)
    if given.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{'':26}{'median':>10}{'fastest':>10}{'x bare':>9}{'budget':>9}   (ms of CPU, {given.rounds} rounds)")
    for name, row in found.items():
        budget = f"{row['budget_ms']:.0f}" if row["budget_ms"] else "-"
        print(f"{name:26}{row['median_ms']:10.1f}{row['fastest_ms']:10.1f}{row['ratio_to_bare']:9.2f}{budget:>9}")


if __name__ == "__main__":
    main()
