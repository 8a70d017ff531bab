# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits of single logits: the request's biases, and penalties for what was said already."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from llama_orch.engine.records import Sampling
from llama_orch.engine.sampling.candidates import Logits
from llama_orch.engine.sampling.parameters import NEVER


class Biases:
    """`logit_bias` of a request, and the tokens that the model's makers suppress."""

    def __init__(self, sampling: Sampling, suppressed: Sequence[int]) -> None:
        biases = {token: -np.inf if bias <= NEVER else bias for token, bias in sampling.logit_bias.items()}
        biases.update(dict.fromkeys(suppressed, -np.inf))
        self._tokens = np.fromiter(biases.keys(), np.intp, len(biases))
        self._addends = np.fromiter(biases.values(), np.float32, len(biases))

    def __bool__(self) -> bool:
        return len(self._tokens) > 0

    def apply(self, row: Logits) -> None:
        """Adds them, in place."""
        row[self._tokens] += self._addends


class Penalties:
    """Repeat, frequency and presence penalties over the last `repeat_last_n` tokens, prompt included.

    As llama.cpp's penalties sampler: a positive logit is divided by the repeat penalty and a negative one multiplied;
    then count x frequency + presence is subtracted. Only the tokens concerned are touched.
    """

    def __init__(self, sampling: Sampling, prompt_tokens: Sequence[int]) -> None:
        last = sampling.repeat_last_n
        self._window: deque[int] | None = deque() if last >= 0 else None
        self._last = last
        self._repeat = np.float32(sampling.repeat_penalty)
        self._frequency = np.float32(sampling.frequency_penalty)
        self._presence = np.float32(sampling.presence_penalty)
        self._slots: dict[int, int] = {}
        self._tokens = np.zeros(64, np.intp)
        self._counts = np.zeros(64, np.float32)
        # [-0:] would be the whole prompt; a window of 0 tokens makes no penalties at all.
        for token in prompt_tokens[-last:] if last > 0 else prompt_tokens:
            self.accept(token)

    @staticmethod
    def wanted(sampling: Sampling) -> bool:
        """Whether the request's penalties change anything."""
        neutral = (sampling.repeat_penalty, sampling.frequency_penalty, sampling.presence_penalty) == (1.0, 0.0, 0.0)
        return sampling.repeat_last_n != 0 and not neutral

    def apply(self, row: Logits) -> None:
        """Edits the logits of the tokens in the window, in place."""
        used = len(self._slots)
        tokens = self._tokens[:used]
        logits = row[tokens]
        if self._repeat != 1:
            logits = np.where(logits <= 0, logits * self._repeat, logits / self._repeat)
        row[tokens] = logits - (self._counts[:used] * self._frequency + self._presence)

    def accept(self, token: int) -> None:
        """Takes a token into the window, and lets the oldest go when it is full."""
        slot = self._slots.get(token)
        if slot is None:
            self._append(token)
        else:
            self._counts[slot] += 1
        if self._window is not None:
            self._window.append(token)
            if len(self._window) > self._last:
                self._forget(self._window.popleft())

    def _append(self, token: int) -> None:
        slot = len(self._slots)
        if slot == len(self._tokens):
            self._tokens = np.concatenate((self._tokens, np.zeros_like(self._tokens)))
            self._counts = np.concatenate((self._counts, np.zeros_like(self._counts)))
        self._slots[token], self._tokens[slot], self._counts[slot] = slot, token, 1

    def _forget(self, token: int) -> None:
        slot = self._slots[token]
        self._counts[slot] -= 1
        if self._counts[slot]:
            return
        # The last slot moves into the gap: the used ones stay together.
        del self._slots[token]
        last = len(self._slots)
        if slot != last:
            moved = int(self._tokens[last])
            self._slots[moved] = slot
            self._tokens[slot], self._counts[slot] = moved, self._counts[last]
