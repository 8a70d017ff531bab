# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch help`, and the reference pages that are made from the same declarations."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from llama_orch.cli.registry import TOPIC_NAMES

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
Told = Callable[["subprocess.CompletedProcess[bytes]"], str]
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("topic", [each for each in TOPIC_NAMES if each != "json"])
def test_topics(topic: str, run_orch: Orch, told: Told, snapshot: SnapshotAssertion) -> None:
    assert told(run_orch("help", topic)) == snapshot


def test_the_topic_json_names_every_command(run_orch: Orch) -> None:
    from llama_orch.cli.help.topics import commands

    text = run_orch("help", "json").stdout.decode()
    assert all(f"  orch {each.path}\n" in text for each in commands() if each.prints)


def test_help_on_commands(run_orch: Orch) -> None:
    assert run_orch("help", "models", "link").stdout == run_orch("models", "link", "--help").stdout
    assert run_orch("help", "ps").stdout == run_orch("ps", "--help").stdout
    assert run_orch("help", "auth").stdout == run_orch("auth", "--help").stdout
    assert run_orch("help").stdout.startswith(run_orch("--help").stdout)
    assert run_orch("help", "-q").stdout.decode().split() == list(TOPIC_NAMES)


def test_unknown_words(run_orch: Orch, told: Told, snapshot: SnapshotAssertion) -> None:
    for line in (["help", "exit-code"], ["help", "zzz"], ["help", "models", "lnk"], ["help", "ps", "x"]):
        assert told(run_orch(*line)) == snapshot(name=" ".join(line))


def test_the_reference_is_current() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "gen_reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
