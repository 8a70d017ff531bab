# SPDX-License-Identifier: GPL-3.0-or-later
"""What `orch run` may load before the answer: names of modules, not a clock."""

from __future__ import annotations

import json
import subprocess
import sys

from llama_orch_utils.testing import FakeTap

# Each costs 15 to 400 ms of CPU on the machines that we build on.
FORBIDDEN = {"rich", "markdown_it", "pygments", "typer", "click", "httpx", "pydantic", "sqlite3", "keyring", "numpy",
             "llama_cpp", "readline", "asyncio.base_events"}  # fmt: skip
CODE = """
import json, sys
from llama_orch.cli.main import main
code = main(["run", "-n", "Hi"])
json.dump([code, sorted(sys.modules)], sys.stderr)
"""


def test_a_piped_answer_loads_nothing_heavy(tap: FakeTap) -> None:
    done = subprocess.run([sys.executable, "-c", CODE], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    code, modules = json.loads(done.stderr)
    assert (code, done.stdout) == (0, b"Hello from the fake tap.\n")
    assert FORBIDDEN & set(modules) == set()
    assert len(modules) < 330


def test_the_options_of_the_command_load_nothing_of_the_client() -> None:
    names = ", ".join(f"llama_orch.cli.{word}.command" for word in ("run", "chat", "applet"))
    code = f"import sys, {names}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    loaded = set(done.stdout.split())
    assert {"json", "httpcore", "ssl"} & loaded == set()
    assert FORBIDDEN & loaded == set()
