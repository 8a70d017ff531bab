# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the worker's receipt off the end of a streamed answer, and handing on the rest as it came."""

from __future__ import annotations

from llama_orch.wire import receipt
from llama_orch.wire.receipt import MARK, Receipt

_LONGEST = 4096


class Taker:
    """`push` gives what may go to the client now; `flush`, at the end, what is left. Then `receipt` is known."""

    def __init__(self) -> None:
        self.receipt: Receipt | None = None
        self._held = b""

    def push(self, chunk: bytes) -> bytes:
        """A piece of the stream, without what is or may become the receipt."""
        if not self._held and chunk.endswith(b"\n") and MARK not in chunk:
            return chunk
        data = self._held + chunk
        at = _place(data)
        if at < 0 or len(data) - at > _LONGEST:
            self._held = b""
            return data
        self._held = data[at:]
        return data[:at]

    @property
    def complete(self) -> bool:
        """Whether what is held is a whole receipt: only the stream's end is still to come."""
        return self._held.endswith(b"\n\n") and self._held.startswith(MARK)

    def look(self) -> Receipt | None:
        """The receipt that is held, which may still turn out not to be the end."""
        return receipt.split(self._held)[1]

    def flush(self) -> bytes:
        """The end of the stream."""
        rest, self.receipt = receipt.split(self._held)
        self._held = b""
        return rest


def _place(data: bytes) -> int:
    """Where the last line begins that is a receipt, or may be the beginning of one; -1 if there is none."""
    at = data.rfind(MARK)
    if at == 0 or (at > 0 and data[at - 1 : at] == b"\n"):
        return at
    start = data.rfind(b"\n") + 1
    tail = data[start:]
    return start if tail and MARK.startswith(tail) else -1
