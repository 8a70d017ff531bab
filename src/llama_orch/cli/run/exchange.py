# SPDX-License-Identifier: GPL-3.0-or-later
"""One question and its answer, shown while it comes; and what became of it when it did not come whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.cli.run.connection import Connection
    from llama_orch.cli.run.sink import Sink
    from llama_orch_utils.types import Answer, Message


@dataclass(slots=True)
class Exchange:
    """What came: `text` and `reasoning` so far, `pieces` of it (each a token or more), `answer` when it is whole.

    `begun` is on the monotonic clock; `seconds` since then, `waited` until the first piece (None: there was none).
    """

    text: str = ""
    reasoning: str = ""
    pieces: int = 0
    answer: Answer | None = None
    error: BaseException | None = None
    begun: float = 0.0
    seconds: float = 0.0
    waited: float | None = None

    @property
    def ending(self) -> str:
        """The answer's finish reason; `interrupted` or `error` where it has none."""
        if self.answer is not None:
            return self.answer.finish_reason
        from llama_orch_utils.errors import OrchError

        return "error" if isinstance(self.error, OrchError) else "interrupted"


def hold(
    connection: Connection,
    messages: Sequence[Message],
    options: dict[str, Any],
    open_sink: Callable[[], Sink],
    out: Output,
) -> Exchange:
    """Ask, and show what comes. Never raises: an error, `^C` or a closed pipe is in `error`, with what came before it.

    Whatever happens, the stream is closed, and the target is free for the next one.
    """
    exchange = Exchange(begun=time.monotonic())
    texts: list[str] = []
    thoughts: list[str] = []
    try:
        _stream(connection, messages, options, open_sink, out, exchange, texts, thoughts)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the caller keeps what came, then raises it
        connection.loading.clear()
        exchange.error = error
    exchange.seconds = time.monotonic() - exchange.begun
    exchange.text, exchange.reasoning = "".join(texts), "".join(thoughts)
    return exchange


def _stream(
    connection: Connection,
    messages: Sequence[Message],
    options: dict[str, Any],
    open_sink: Callable[[], Sink],
    out: Output,
    exchange: Exchange,
    texts: list[str],
    thoughts: list[str],
) -> None:
    from llama_orch.cli.run.reasoning import Reasoning

    reasoning = Reasoning(out)
    with connection.client.stream(messages, model=connection.model, **options) as stream:
        # Opened when the request is on its way: what the sink has to load, it loads while the model reads.
        sink = open_sink()
        try:
            for piece in stream:
                exchange.pieces += 1
                if exchange.waited is None:
                    exchange.waited = time.monotonic() - exchange.begun
                if piece.reasoning:
                    thoughts.append(piece.reasoning)
                    reasoning.write(piece.reasoning)
                if piece.text:
                    texts.append(piece.text)
                    reasoning.end()
                    sink.write(piece.text)
            exchange.answer = stream.answer
        finally:
            sink.finish()
