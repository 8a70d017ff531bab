# SPDX-License-Identifier: GPL-3.0-or-later
"""The time of the devices that hold a model, shared with the workers of this machine that compute on them at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llama_orch.busy_clock import BusyClock


class DeviceTime:
    """The meter (`engine.busy`) of a worker whose model lies on `devices`; its seconds are theirs together.

    `folder` has a clock for each. Raises ConfigError where it cannot be used.
    """

    def __init__(self, folder: Path, devices: Sequence[str]) -> None:
        self._clocks = [BusyClock(folder, name) for name in devices]
        self._marks = [0.0] * len(self._clocks)

    def begin(self) -> None:
        """It begins to compute."""
        self._marks = [clock.enter() for clock in self._clocks]

    def lap(self) -> float:
        """Its seconds since `begin` or the last `lap`."""
        before, self._marks = self._marks, [clock.read() for clock in self._clocks]
        return sum(self._marks) - sum(before)

    def end(self) -> None:
        """It has nothing to do."""
        for clock in self._clocks:
            clock.leave()

    def close(self) -> None:
        """Lets go of the clocks."""
        for clock in self._clocks:
            clock.close()
