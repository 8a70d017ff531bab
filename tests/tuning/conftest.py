# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the room, once for each test process."""

from __future__ import annotations

from pathlib import Path

import pytest
from tuned_home import Files, written


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path) -> Files:
    return written(tmp_path_factory.mktemp("tuned"), tiny_gguf)
