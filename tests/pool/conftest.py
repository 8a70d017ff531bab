# SPDX-License-Identifier: GPL-3.0-or-later
"""What the keeper's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pool_home import Home


@pytest.fixture
def keeper(orch_home: Path, tiny_gguf: Path) -> Iterator[Home]:
    """A home of its own whose workers end with the test."""
    home = Home(orch_home, tiny_gguf)
    yield home
    home.stop_all()
