# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts as C takes them: nothing but the vocabulary's tokens, and no more than the context holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from llama_orch_utils.errors import BadRequest, ContextTooLong

if TYPE_CHECKING:
    from numpy.typing import NDArray


def checked_texts(texts: Sequence[Sequence[int]], context: int, n_tokens: int) -> list[NDArray[np.int32]]:
    """The texts as arrays. Raises BadRequest and ContextTooLong (both numbers), `param` the JSON pointer in `texts`."""
    if not texts:
        raise BadRequest("There is nothing to embed.", param="")
    return [_checked(tokens, f"/{index}", context, n_tokens) for index, tokens in enumerate(texts)]


def _checked(tokens: Sequence[int], where: str, context: int, n_tokens: int) -> NDArray[np.int32]:
    if len(tokens) == 0:
        raise BadRequest("There is no text to embed here.", param=where, hint="send at least one character")
    if len(tokens) > context:
        raise ContextTooLong(
            f"The text has {len(tokens)} tokens; {context} are the most for this model.",
            limit=context,
            asked=len(tokens),
            param=where,
            hint="send it in shorter pieces",
        )
    try:
        found = np.asarray(tokens, np.int64)
    except (OverflowError, TypeError, ValueError) as error:
        raise BadRequest(f"The text is not a list of token ids: {error}.", param=where) from error
    if found.ndim != 1 or int(found.min()) < 0 or int(found.max()) >= n_tokens:
        raise BadRequest(f"The text has a token outside the vocabulary (0 to {n_tokens - 1}).", param=where)
    return found.astype(np.int32)
