# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages about blocks and applets show runs as it stands, on the demo model."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (HOW_TO / page).read_text(), re.DOTALL)


def test_the_examples_of_the_blocks_run(orch_home: Path) -> None:
    codes = blocks("building-blocks.md", "python")
    assert len(codes) == 4
    for code in codes:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr


def test_the_commands_and_the_case_of_the_applets_page_work(run_orch: Orch, tmp_path: Path) -> None:
    for line in "".join(blocks("ready-applets.md", "sh")).splitlines():
        assert run_orch(*line.split()[1:]).returncode == 0
    (tmp_path / "own.jsonl").write_text("".join(blocks("ready-applets.md", "json")))
    done = run_orch("applet", "eval", "triage", "--set", str(tmp_path / "own.jsonl"), "--json")
    assert b'"refund"' in done.stdout
