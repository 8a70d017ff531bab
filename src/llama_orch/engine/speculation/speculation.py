# SPDX-License-Identifier: GPL-3.0-or-later
"""A lone answer's guesses: how many, and whether they are worth making."""

from __future__ import annotations

import time

import numpy as np

from llama_orch.engine.counters import Counters
from llama_orch.engine.sequence import Sequence
from llama_orch.engine.speculation.draft import Draft
from llama_orch.engine.speculation.pace import Pace


class Speculation:
    """Guesses up to `most` tokens at a time. Only for a sequence that is alone: a full batch has no row to spare."""

    def __init__(self, draft: Draft, most: int, counters: Counters) -> None:
        self._draft, self._most, self._counters = draft, most, counters
        self.pace = Pace()
        self._began, self._tried = 0.0, False

    def propose(self, sequence: Sequence, room: int) -> list[int]:
        """What may follow the sequence's next token; at most `room` tokens, and none that it may not say any more."""
        self._began, self._tried = time.perf_counter(), False
        resident = sequence.resident
        most = min(self.pace.most(self._most), room, sequence.limit - len(sequence.output) - 1)
        if resident is None or most < 1 or not self.pace.pays():
            return []
        self._tried = True
        text = np.append(resident.tokens[: resident.ready], np.int32(sequence.next_token))
        guesses = self._draft.guess(text, most)
        self._counters.proposed_tokens += len(guesses)
        return guesses

    def learn(self, said: int) -> None:
        """What came of it: `said` tokens, of which all but the last were guesses."""
        seconds = time.perf_counter() - self._began
        self._counters.accepted_tokens += max(0, said - 1)
        if self._tried and self._draft.behind:
            self.pace.add_reading(seconds)
        elif self._tried:
            self.pace.add_round(seconds, max(1, said))
        else:
            self.pace.add_plain(seconds)

    def close(self) -> None:
        """Frees the draft."""
        self._draft.close()
