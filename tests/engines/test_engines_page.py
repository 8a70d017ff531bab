# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command of docs/how-to/engines.md is typed, as it stands but for the measuring, in one home."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from environments import ROOT

PAGE = ROOT / "docs" / "how-to" / "engines.md"


def commands() -> Iterator[str]:
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL):
        for line in block.splitlines():
            yield line.removeprefix("$ ")


def test_the_commands_of_the_page_do_what_they_say(
    orch_home: Path, packages: Path, ready: Path, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    orch = tmp_path / "bin" / "orch"
    orch.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m llama_orch.cli "$@"\n')
    orch.chmod(0o755)
    # The packages come from here; on a machine with a GPU the first command would be for it.
    env = {**os.environ, "PATH": f"{orch.parent}:{os.environ['PATH']}", "UV_OFFLINE": "1"}
    env["UV_FIND_LINKS"] = f"{packages},{ready}"
    env["UV_CACHE_DIR"] = str(tmp_path / "cache")  # what uv knows of an index from elsewhere would count as well
    for command in commands():
        typed = command.replace("orch engine build", "orch engine build --no-speed", 1)
        typed = re.sub(r"build --no-speed$", "build --no-speed --backend cpu", typed)
        done = subprocess.run(["sh", "-c", typed], env=env, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, (command, done.stderr.decode())
        assert b"Traceback" not in done.stderr
    kinds = subprocess.run([orch, "engine", "ls", "-q"], env=env, capture_output=True, text=True, check=True).stdout
    assert kinds.split() == ["installed", "plain", "prebuilt"]
