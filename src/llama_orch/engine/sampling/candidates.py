# SPDX-License-Identifier: GPL-3.0-or-later
"""Which few tokens of a whole vocabulary can be sampled at all: found with numpy, for llama.cpp to choose from.

The `k` largest of n logits lie among those that reach the k-th largest of any k or more disjoint block maxima. The
maxima of 64-element blocks are one vectorised pass, and 40 to 60 of 152,000 logits reach that mark.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llama_orch_utils.errors import BadRequest, EngineFailed

Logits = NDArray[np.float32]
Ids = NDArray[np.intp]

_BLOCK = 64
_NUCLEI = (256, 1024, 8192)
"""How many tokens are looked at for top_p before all are."""
_HAIR = 1e-3
"""How much lower than llama.cpp's own mark for min_p ours is, in logits: its mark decides."""


class Candidates(NamedTuple):
    """Token ids, `in_order` when they fall by logit, `nucleus` when top_p has been applied to them."""

    ids: Ids
    in_order: bool = False
    nucleus: bool = False


def check_maximum(maximum: float) -> None:
    """Raises EngineFailed for logits that are no numbers, BadRequest where every token is forbidden."""
    if math.isfinite(maximum):
        return
    if maximum == -math.inf:
        raise BadRequest("No token is left to sample: the request's biases and grammar forbid them all.")
    raise EngineFailed(
        "The model computed logits that are not numbers; its weights are damaged or its format is not served.",
        code="broken_logits",
        hint="compare the file's digest with its publisher's: `orch models show NAME`",
    )


def most_likely(row: Logits, k: int) -> Ids:
    """A superset of the `k` most likely tokens, ascending by id: `k` at least, unless fewer are finite."""
    columns = len(row) // _BLOCK
    if k * 2 > columns:
        return _most_likely_of_all(row, k)
    # Block j is every columns-th logit from j on: so the maximum runs along memory and is vectorised.
    blocks, rest = row[: columns * _BLOCK].reshape(_BLOCK, columns), row[columns * _BLOCK :]
    maxima = blocks.max(axis=0)
    check_maximum(float(maxima.max()) if not len(rest) else float(np.maximum(maxima.max(), rest.max())))
    mark = np.partition(maxima, columns - k)[columns - k]
    if mark == -np.inf:
        return np.flatnonzero(row > -np.inf)
    reaching = np.flatnonzero(maxima >= mark)
    lines, places = np.nonzero(blocks[:, reaching] >= mark)
    ids = lines * columns + reaching[places]
    return np.concatenate((ids, np.flatnonzero(rest >= mark) + columns * _BLOCK)) if len(rest) else ids


def _most_likely_of_all(row: Logits, k: int) -> Ids:
    check_maximum(float(row.max()))
    if k >= len(row):
        return np.flatnonzero(row > -np.inf)
    mark = np.partition(row, len(row) - k)[len(row) - k]
    return np.flatnonzero(row >= mark) if mark > -np.inf else np.flatnonzero(row > -np.inf)


def ordered(row: Logits, ids: Ids) -> Ids:
    """The same ids, falling by logit; equal logits by id, unless thousands of ids make that slow."""
    return ids[np.argsort(-row[ids], kind="stable" if len(ids) <= _NUCLEI[-1] else "quicksort")]


def within(row: Logits, min_p: float) -> Ids:
    """The tokens whose probability is at least about `min_p` times the greatest one's; none too few."""
    maximum = float(row.max())
    check_maximum(maximum)
    return np.flatnonzero(row >= maximum + math.log(min_p) - _HAIR)


def nucleus(row: Logits, top_p: float, min_p: float) -> Candidates:
    """The most likely tokens that together reach `top_p` (of the whole vocabulary), falling by logit.

    Those that `min_p` drops afterwards may be missing already. Sums are float64; llama.cpp's are float32, so that the
    last tokens can differ where thousands take part, or where the sum meets `top_p` to seven digits.
    """
    maximum = float(row.max())
    check_maximum(maximum)
    total = float(np.exp(row - np.float32(maximum)).sum(dtype=np.float64))
    ids = np.empty(0, np.intp)
    for size in (*_NUCLEI, len(row)):
        ids = ordered(row, most_likely(row, min(size, len(row))))
        mass = np.exp((row[ids] - np.float32(maximum)).astype(np.float64)).cumsum() / total
        if mass[-1] >= top_p:
            ids = ids[: int(np.searchsorted(mass, top_p)) + 1]
            break
        if min_p > 0 and row[ids[-1]] < maximum + math.log(min_p) - _HAIR:
            break
    return Candidates(ids, in_order=True, nucleus=True)
