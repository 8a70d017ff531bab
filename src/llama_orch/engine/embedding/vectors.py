# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a pooled vector before it goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row of [texts, width] at Euclidean length 1; a row of zeros stays one, as in llama.cpp."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))[:, None]
    return (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)


def shortened(vectors: NDArray[np.float32], dimensions: int | None) -> NDArray[np.float32]:
    """The first `dimensions` numbers of each row; None: all."""
    return vectors if dimensions is None else vectors[:, :dimensions]


def probability(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """The logistic function, without overflow: what a cross-encoder with one output is trained with."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64)))
