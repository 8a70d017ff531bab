# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether guessing pays: what a token costs with it and without, as measured while it runs."""

from __future__ import annotations

_WEIGHT = 0.1
"""Of the newest measurement in the running means."""
_PLAIN_FIRST = 4
_ROUNDS = 12
"""So many rounds are measured before they are judged."""
_REST, _LONGEST_REST = 64, 1024
"""Tokens without guesses after rounds that did not pay; doubled each time they do not again."""


class Pace:
    """Running means of seconds per token."""

    def __init__(self) -> None:
        self.plain: float | None = None
        self.guessing: float | None = None
        self._plain_left, self._rounds, self._rest = _PLAIN_FIRST, 0, _REST

    def pays(self) -> bool:
        """Whether to guess now."""
        return self._plain_left <= 0

    def add_plain(self, seconds: float) -> None:
        """A token came without a guess."""
        self.plain = _mean(self.plain, seconds)
        self._plain_left -= 1

    def add_round(self, seconds: float, tokens: int) -> None:
        """A round of guessing and checking gave `tokens`, one at least."""
        self.guessing = _mean(self.guessing, seconds / tokens)
        self._rounds += 1
        if self._rounds < _ROUNDS or self.plain is None:
            return
        if self.guessing > self.plain:
            self._plain_left, self._rest = self._rest, min(2 * self._rest, _LONGEST_REST)
            self.guessing, self._rounds = None, 0
        else:
            self._rest = _REST


def _mean(old: float | None, new: float) -> float:
    return new if old is None else old + _WEIGHT * (new - old)
