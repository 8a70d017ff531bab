# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the managed engines say in the same words."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]


def offline(packages: Path) -> list[str]:
    """The options of a build that asks no network."""
    return ["--find-links", str(packages), "--offline"]


def left_behind(folder: Path) -> list[str]:
    """What lies in a build's folder beside its lock and its record."""
    return sorted(each.name for each in folder.iterdir() if each.name not in {"lock", "engine.json"})
