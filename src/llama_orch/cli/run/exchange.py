# SPDX-License-Identifier: GPL-3.0-or-later
"""One question and its answer, shown while it comes; and what became of it when it did not come whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.cli.run.connection import Connection
    from llama_orch.cli.run.reasoning import Reasoning
    from llama_orch.cli.run.sink import Sink
    from llama_orch_utils.types import Answer, Message, Piece, ToolResult


@dataclass(slots=True)
class Exchange:
    """What came: `text` and `reasoning` so far, `pieces` of it (each a token or more), `answer` when it is whole.

    With tools, `text` is that of the last step, and `results` are what was run.

    `begun` is on the monotonic clock; `seconds` since then, `waited` until the first piece (None: there was none).
    """

    text: str = ""
    reasoning: str = ""
    pieces: int = 0
    answer: Answer | None = None
    error: BaseException | None = None
    results: list[ToolResult] = field(default_factory=list["ToolResult"])
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
    *,
    thoughts: bool = True,
) -> Exchange:
    """Ask, and show what comes. Never raises: an error, `^C` or a closed pipe is in `error`, with what came before it.

    `thoughts` False hides what the model thinks. Whatever happens, the stream is closed, and the target is free for
    the next one.
    """
    exchange = Exchange(begun=time.monotonic())
    showing = _Showing(exchange, open_sink, out, thoughts=thoughts)
    try:
        with connection.client.stream(messages, model=connection.model, **options) as stream:
            # Opened when the request is on its way: what the sink has to load, it loads while the model reads.
            showing.open()
            try:
                for piece in stream:
                    showing.take(piece)
                exchange.answer = stream.answer
            finally:
                showing.close()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the caller keeps what came, then raises it
        connection.loading.clear()
        exchange.error = error
    exchange.seconds = time.monotonic() - exchange.begun
    exchange.text, exchange.reasoning = "".join(showing.texts), "".join(showing.thoughts)
    return exchange


class _Showing:
    """Where pieces go. A call ends what is shown of the text before it: a question may come in between."""

    def __init__(self, exchange: Exchange, open_sink: Callable[[], Sink], out: Output, *, thoughts: bool) -> None:
        self._exchange = exchange
        self._open_sink = open_sink
        self._out = out
        self._show_thoughts = thoughts
        self._sink: Sink | None = None
        self._reasoning = self._thinking()
        self.texts: list[str] = []
        self.thoughts: list[str] = []

    def open(self) -> Sink:
        """The sink of the present answer."""
        if self._sink is None:
            self._sink = self._open_sink()
        return self._sink

    def take(self, piece: Piece) -> None:
        """Show a piece."""
        exchange = self._exchange
        exchange.pieces += 1
        if exchange.waited is None:
            exchange.waited = time.monotonic() - exchange.begun
        if piece.reasoning:
            self.thoughts.append(piece.reasoning)
            self._reasoning.write(piece.reasoning)
        if piece.text:
            self.texts.append(piece.text)
            self._reasoning.end()
            self.open().write(piece.text)
        elif piece.call is not None or piece.result is not None:
            self._step(piece)

    def close(self) -> None:
        """There is no more, for now."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.finish()

    def _step(self, piece: Piece) -> None:
        """A call or its result: what was said before it is no part of the answer that follows."""
        from llama_orch.cli.run import steps

        self._reasoning.end()
        self.close()
        if piece.call is not None:
            steps.show_call(piece.call, self._out)
        if piece.result is not None:
            self._exchange.results.append(piece.result)
            steps.show_result(piece.result, self._out)
            self._reasoning = self._thinking()
            self.texts.clear()

    def _thinking(self) -> Reasoning:
        from llama_orch.cli.run.reasoning import Reasoning

        return Reasoning(self._out, hidden=not self._show_thoughts)
