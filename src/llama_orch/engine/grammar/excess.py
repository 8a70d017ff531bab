# SPDX-License-Identifier: GPL-3.0-or-later
"""A form that is right in itself and more than can be held: the one thing that is refused by 422.

Nothing is wrong with such a request, as RFC 9110 (15.5.21) has it: the server understands it, and cannot process it.
Whatever is wrong with a form (its syntax, a keyword that is not served) is a 400.
"""

from __future__ import annotations

import re

from llama_orch_utils.errors import BadRequest

CODE = "too_complex"
_STATUS = 422
# The limits of llguidance's parser and lexer, in its own words.
_LIMITS = re.compile(
    r"schema too large|(grammar\)|symbols\)) too big|too many (expressions|items|states)|lexer precomputation failed"
    r"|fuel\b|too deeply nested|DNF too large",
    re.IGNORECASE,
)


def excess(message: str, *, param: str, hint: str | None = None) -> BadRequest:
    """The error for more than can be held, `param` its JSON pointer."""
    return BadRequest(
        message, param=param, hint=hint or "make it smaller, or hold less of it", code=CODE, status=_STATUS
    )


def is_limit(said: str) -> bool:
    """Whether llguidance complains by these words about how much it is, and not about what."""
    return _LIMITS.search(said) is not None
