# SPDX-License-Identifier: Apache-2.0
"""The pytest fixture `fake_tap`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llama_orch_utils.testing.tap import FakeTap


@pytest.fixture
def fake_tap() -> Iterator[FakeTap]:
    """A fake tap that runs as long as the test."""
    with FakeTap() as tap:
        yield tap
