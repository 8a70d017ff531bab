# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's two commands are the ones that CI and the newcomer type."""

from __future__ import annotations

import re
import subprocess

from environments import ROOT

README = (ROOT / "README.md").read_text()
RUN = 'scripts/uv run orch run "What is the Public Tap?"'
TEST = "scripts/uv run pytest"


def test_the_readme_shows_both_commands_in_code_blocks() -> None:
    blocks = re.findall(r"```\w*\n(.*?)```", README, re.DOTALL)
    lines = {line.strip() for block in blocks for line in block.splitlines()}
    assert {RUN, TEST} <= lines


def test_ci_runs_the_checks_and_then_exactly_the_test_command() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert commands[-2:] == ["scripts/check", TEST]


def test_every_link_and_picture_of_the_readme_exists() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_scripts_are_executable_and_parse() -> None:
    for script in ("scripts/uv", "scripts/check", "scripts/newcomer", ".ci/run", "benchmarks/peers/build_llama_server"):
        path = ROOT / script
        assert path.stat().st_mode & 0o111, script
        shell = path.read_text().splitlines()[0].split()[-1].removeprefix("#!/bin/")
        assert subprocess.run([shell, "-n", str(path)], check=False).returncode == 0, script


def test_nothing_committed_names_a_registry_or_this_workplace() -> None:
    done = subprocess.run(
        ["git", "grep", "-nIE", r"(files\.pythonhosted|pypi\.org|registry\.npmjs|deb\.debian|/work/)", "--", ".",
         ":!tests/house/test_readme.py"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == ""
