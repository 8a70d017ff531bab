# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request took, told by a worker to the gateway that asked for it by the header `x-orch-receipt: 1`.

A whole answer carries it as the header `x-orch-receipt`, a stream as its last bytes: one line that begins with
`MARK`. The head of a stream carries a first one, with the prompt's counts. The gateway takes them away again: clients
never see them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

HEADER = b"x-orch-receipt"
MARK = b": x-orch-receipt "


@dataclass(frozen=True, slots=True)
class Receipt:
    """Token counts are exact. Seconds: waiting for a place, to the first token, between tokens (median), in all.

    `outcome` is stop, length, tool_calls, or an error's code. A prompt that was never begun counts nothing.
    `gpu_microseconds` is how long the engine was at it.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    queue_seconds: float = 0.0
    first_token_seconds: float = 0.0
    token_seconds: float = 0.0
    total_seconds: float = 0.0
    outcome: str = ""
    gpu_microseconds: int = 0


def render(receipt: Receipt) -> bytes:
    """The receipt as one line of JSON, fit for a header."""
    return json.dumps(asdict(receipt), separators=(",", ":")).encode("ascii")


def line(receipt: Receipt) -> bytes:
    """The last bytes of a stream."""
    return MARK + render(receipt) + b"\n\n"


def parse(data: bytes) -> Receipt:
    """The receipt in a header's value. Raises ValueError for anything else."""
    try:
        return Receipt(**json.loads(data))
    except TypeError as error:
        raise ValueError(f"no receipt: {error}") from error


def split(chunk: bytes) -> tuple[bytes, Receipt | None]:
    """The chunk without the receipt at its end, and the receipt; (chunk, None) where there is none."""
    at = chunk.rfind(MARK)
    if at < 0 or (at > 0 and chunk[at - 1 : at] != b"\n"):
        return chunk, None
    try:
        return chunk[:at], parse(chunk[at + len(MARK) :])
    except ValueError:
        return chunk, None
