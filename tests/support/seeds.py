# SPDX-License-Identifier: GPL-3.0-or-later
"""The seed of a random test: another one at each run, the one in TEST_SEED where that is set (CI sets it)."""

from __future__ import annotations

import os
import random


def fresh_seed() -> int:
    """A 32-bit seed, printed so that a failure tells it."""
    seed = int(os.environ.get("TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"TEST_SEED={seed}")
    return seed
