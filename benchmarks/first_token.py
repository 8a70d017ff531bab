# SPDX-License-Identifier: GPL-3.0-or-later
"""From Enter to the first byte of the answer: `orch run` on a warm worker with the demo model, and `llm` beside it.

    python benchmarks/first_token.py [--rounds 15] [--llm PATH] [--json]

`llm` asks the same worker, over loopback, through its own OpenAI client. Wall milliseconds and CPU milliseconds of the
command until its first byte; the cases are interleaved, the median counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "serving"))

from servers import Server, Shape

DEMO = Path(__file__).parent.parent / "src/llama_orch/models/demo/orch-demo.gguf"
QUESTION = "What is the Public Tap?"
EXTRA = """- model_id: bench
  model_name: bench
  api_base: http://127.0.0.1:{port}/v1
"""


def first_byte(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU milliseconds from the start of `command` to its first byte."""
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(1), f"{command} said nothing"
        wall = time.perf_counter() - began
        cpu = cpu_of(process.pid)
        process.stdout.read()
    return 1000 * wall, 1000 * cpu


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--llm")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    orch = str(Path(sys.executable).with_name("orch"))
    with tempfile.TemporaryDirectory(prefix="orch-") as home:
        environment = {**os.environ, "ORCH_HOME": home, "LLM_USER_PATH": home, "OPENAI_API_KEY": "none"}
        server = Server("orch", Shape(DEMO, 2, 512, 1), "", Path(home, "worker.log"))
        Path(home, "extra-openai-models.yaml").write_text(EXTRA.format(port=server.port))
        cases = {"orch run": [orch, "run", QUESTION]}
        if arguments.llm:
            cases["llm"] = [arguments.llm, "-m", "bench", "--no-log", QUESTION]
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
        try:
            for command in cases.values():
                first_byte(command, environment)
            for _ in range(arguments.rounds):
                for name, command in cases.items():
                    taken[name].append(first_byte(command, environment))
        finally:
            subprocess.run([orch, "stop", "--all"], env=environment, capture_output=True, check=False)
            server.stop()
    report = {
        name: {"wall_ms": statistics.median(w for w, _ in rows), "cpu_ms": statistics.median(c for _, c in rows)}
        for name, rows in taken.items()
    }
    if arguments.json:
        print(json.dumps(report))
        return
    for name, row in report.items():
        print(f"{name}: {row['wall_ms']:.0f} ms to the first byte, {row['cpu_ms']:.0f} ms of CPU")


if __name__ == "__main__":
    main()
