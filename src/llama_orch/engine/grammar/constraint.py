# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sampler asks of a constraint."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray


class Constraint(ABC):
    """Which tokens may come next in one answer. Stateful, not thread-safe; `close` frees what C holds."""

    @abstractmethod
    def mask(self, row: NDArray[np.float32]) -> None:
        """Sets the logits of forbidden tokens to -inf in place, where that is cheap; else it does nothing."""

    @abstractmethod
    def allows(self, token: int) -> bool:
        """Whether `token` may come next. End-of-generation tokens may when the answer is complete."""

    @abstractmethod
    def allowed(self, ids: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of `ids` that may come next, in the same order."""

    @abstractmethod
    def accept(self, token: int) -> None:
        """Takes a token that `allows` has approved; the libraries below end the process on any other."""

    @abstractmethod
    def is_done(self) -> bool:
        """Whether nothing but the end can follow: the answer may end here without asking the model."""

    @abstractmethod
    def close(self) -> None:
        """Frees C memory; a second call does nothing."""
