# SPDX-License-Identifier: GPL-3.0-or-later
"""One sequence id and what it holds, and how much of a prompt that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORTHWHILE = 32
"""A shorter common prefix is computed again: that is as quick, and keeps the arithmetic of a prompt in one piece."""


@dataclass(slots=True, eq=False)
class Resident:
    """One sequence id and what it holds: `tokens[:ready]` lie in `cells[:ready]`; up to `planned` will follow.

    `active` while a request owns it; `used` is the tick of its last use. `mark`: the logits after the first
    `mark_length` tokens, so that the same prompt again needs no computation, and gets the same bits. `salt` is whose
    tokens they are: no prompt with another salt is given any of them.
    """

    id: int
    tokens: NDArray[np.int32]
    cells: NDArray[np.int32]
    ready: int = 0
    planned: int = 0
    active: bool = False
    used: int = 0
    mark: NDArray[np.float32] | None = None
    mark_length: int = 0
    salt: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """The best source of a prefix: `ready` of the prompt's tokens are in its cells, `planned` will be."""

    resident: Resident
    ready: int
    planned: int


def compare(resident: Resident, prompt: NDArray[np.int32], *, divisible: bool) -> Match | None:
    """What `resident` can give to `prompt`; None if nothing worthwhile.

    `divisible` False: the model's state cannot be cut (recurrent ones), a resident is taken whole or not at all.
    """
    common = _common(resident.tokens[: resident.planned], prompt)
    # One token at least is computed anew, for its logits; unless those were kept.
    most = len(prompt) if resident.mark_length == len(prompt) <= common else len(prompt) - 1
    common = _between_images(prompt, min(common, most))
    ready = _between_images(prompt, min(common, resident.ready))
    if not divisible:
        whole = ready == resident.ready and not resident.active
        return Match(resident, ready, ready) if whole and ready else None
    if common < WORTHWHILE and (resident.active or common < resident.ready):
        return None  # above all, nobody waits for another's few tokens of chat template
    return Match(resident, ready, common)


def _between_images(prompt: NDArray[np.int32], length: int) -> int:
    """`length`, or the beginning of the image that it would cut, whose rows (below 0) may belong together."""
    if not 0 < length < len(prompt) or prompt[length] >= 0 or prompt[length - 1] >= 0:
        return length
    tokens = (prompt[:length] >= 0).nonzero()[0]
    return int(tokens[-1]) + 1 if len(tokens) else 0


def _common(left: NDArray[np.int32], right: NDArray[np.int32]) -> int:
    length = min(len(left), len(right))
    differs = left[:length] != right[:length]
    first = int(differs.argmax()) if length else 0
    return first if length and differs[first] else length
