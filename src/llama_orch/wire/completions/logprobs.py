# SPDX-License-Identifier: GPL-3.0-or-later
"""Log-probabilities in the legacy form: four lists of one length."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from llama_orch.wire.chat_completions.answer import LEAST_LOGPROB
from llama_orch.wire.generation import TokenLogprob


def logprobs_object(logprobs: Sequence[TokenLogprob], offset: int = 0) -> dict[str, object]:
    """`text_offset` counts characters of the choice's text, of which the first token begins at `offset`."""
    # A token may end within a character, which then belongs to the token that ends it.
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    offsets: list[int] = []
    for item in logprobs:
        offsets.append(offset)
        offset += len(decoder.decode(item.text))
    return {
        "tokens": [_text(item) for item in logprobs],
        "token_logprobs": [_value(item) for item in logprobs],
        "top_logprobs": [_rivals(item) for item in logprobs],
        "text_offset": offsets,
    }


def _rivals(item: TokenLogprob) -> dict[str, float]:
    # Two tokens may be the same text: the likelier one comes first and stays.
    found: dict[str, float] = {}
    for rival in (*item.top, item):
        found.setdefault(_text(rival), _value(rival))
    return found


def _text(item: TokenLogprob) -> str:
    """As OpenAI's: a token that is no text shows its bytes, as `bytes:` and escapes."""
    try:
        return item.text.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in item.text)


def _value(item: TokenLogprob) -> float:
    return max(item.logprob, LEAST_LOGPROB)
