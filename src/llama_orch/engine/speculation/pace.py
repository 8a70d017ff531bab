# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether guessing pays: what a token costs with it and without, as measured while it runs.

Finding out has a price: a draft that is never right costs its own passes for nothing. So a trial begins with one guess
and asks for more where those are right, and what it may lose is bounded in time, not in rounds: a machine that is busy
makes each round dearer.
"""

from __future__ import annotations

_WEIGHT = 0.1
"""Of the newest measurement in the running means."""
_PLAIN_FIRST = 4
_ROUNDS = 12
"""So many rounds a trial lasts at most; then the means are judged after each."""
_FEW = 1.5
"""Tokens a round below which hardly a guess is right."""
_LOSS_OF_FEW, _LOSS = 2.0, 8.0
"""What a trial may lose, in the time of plain tokens: less where hardly a guess is right."""
_DEBT = 256.0
"""Plain tokens' time that reading prompts may cost more than guessing has gained since."""
_REST, _LONGEST_REST = 64, 1024
"""Tokens without guesses after rounds that did not pay; doubled each time they do not again."""
_GROWTH = 4
"""Rounds after which as many guesses are made as may be."""


class Pace:
    """Running means of seconds per token."""

    def __init__(self) -> None:
        self.plain: float | None = None
        self.guessing: float | None = None
        self._plain_left, self._rest = _PLAIN_FIRST, _REST
        self._rounds, self._said, self._lost, self._debt = 0, 0, 0.0, 0.0

    def pays(self) -> bool:
        """Whether to guess now."""
        return self._plain_left <= 0

    def most(self, wish: int) -> int:
        """How many guesses to make where `wish` may be: 1, 2, 4 … in the first rounds of a trial."""
        return wish if self._rounds >= _GROWTH else min(wish, 1 << self._rounds)

    def add_plain(self, seconds: float) -> None:
        """A token came without a guess."""
        self.plain = _mean(self.plain, seconds)
        self._plain_left -= 1

    def add_round(self, seconds: float, tokens: int) -> None:
        """A round of guessing and checking gave `tokens`, one at least."""
        self.guessing = _mean(self.guessing, seconds / tokens)
        self._rounds += 1
        self._said += tokens
        if self.plain is None:
            return
        loss = seconds / max(self.plain, 1e-9) - tokens
        self._lost += loss
        self._debt = max(0.0, self._debt + loss)
        if self._rounds < _ROUNDS:
            if self._lost > (_LOSS_OF_FEW if self._said < _FEW * self._rounds else _LOSS):
                self._stop()
        elif self.guessing > self.plain:
            self._stop()
        else:
            self._rest = _REST

    def add_reading(self, seconds: float) -> None:
        """The draft caught up with a text: once for an answer, and no round like others."""
        if self.plain is not None:
            self._debt += seconds / max(self.plain, 1e-9)
            if self._debt > _DEBT:
                self._stop()

    def _stop(self) -> None:
        self._plain_left, self._rest = self._rest, min(2 * self._rest, _LONGEST_REST)
        self.guessing = None
        self._rounds, self._said, self._lost, self._debt = 0, 0, 0.0, 0.0


def _mean(old: float | None, new: float) -> float:
    return new if old is None else old + _WEIGHT * (new - old)
