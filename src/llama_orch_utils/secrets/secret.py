# SPDX-License-Identifier: Apache-2.0
"""A key and where it came from; it does not print."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SecretOrigin = Literal["argument", "environment", "keyring", "file"]


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A key. `origin` is the kind of place, `where` the variable, the keyring or the file.

    Neither `repr` nor `str` nor formatting shows the value: only `value` does.
    """

    value: str
    origin: SecretOrigin
    where: str = ""

    def __repr__(self) -> str:
        """Short and masked."""
        return f"Secret({masked(self.value)!r}, origin={self.origin!r}, where={self.where!r})"

    __str__ = __repr__

    def __reduce__(self) -> str:
        """Refuse to be pickled: a pickle would carry the value in the clear."""
        raise TypeError("a Secret is not pickled")


# From this length on, four characters more or less give nothing away.
LONG_ENOUGH = 20


def masked(value: str) -> str:
    """Three dots, and the last four characters of a value long enough that they give nothing away."""
    return f"…{value[-4:]}" if len(value) >= LONG_ENOUGH else "…"
