# SPDX-License-Identifier: Apache-2.0
"""A streamed answer, read by blocking calls."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Self

from llama_orch_utils.client.core import Streaming
from llama_orch_utils.client.flow import Opened, Step, broken
from llama_orch_utils.client.reader import StreamReader
from llama_orch_utils.errors import AnswerError, StreamBroken
from llama_orch_utils.transport.clock import PhaseElapsed
from llama_orch_utils.transport.exchange import TransportFailure
from llama_orch_utils.types import Answer, Piece, ToolResult

# What drives a flow: the client that a stream belongs to.
Runner = Callable[[Generator[Step, Any, Any]], Any]


class Stream:
    """A streamed answer: iterate over it for its pieces; `answer` is the whole, once it has ended.

    Where tools are called, their calls and results are pieces, and those of the next answer follow. Leaving the
    `with`, `close`, or dropping a half-read one frees the target.
    """

    def __init__(self, run: Runner, streaming: Streaming) -> None:
        self._reading = _Reading(run, streaming)
        self._pieces = self._reading.pieces()

    def __iter__(self) -> Iterator[Piece]:
        return self._pieces

    @property
    def answer(self) -> Answer:
        """The whole answer. Raises AnswerError before the last piece was taken."""
        if self._reading.answer is None:
            raise AnswerError("the stream has not ended, so there is no whole answer", hint="take every piece first")
        return self._reading.answer

    @property
    def text(self) -> str:
        """The text so far."""
        reader = self._reading.reader
        return reader.text if reader is not None else ""

    def close(self) -> None:
        """End it now and free the target; also from another thread, whose iteration then ends."""
        self._reading.close()

    def __enter__(self) -> Self:
        self._reading.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Reading:
    """What a stream and its generator share; it does not know them, as a cycle would keep a dropped stream alive."""

    def __init__(self, run: Runner, streaming: Streaming) -> None:
        self._run = run
        self._streaming = streaming
        self._opened: Opened | None = None
        self._closed = False
        self.reader: StreamReader | None = None
        self.answer: Answer | None = None

    def open(self) -> Opened:
        """Send the request, if that has not been done."""
        if self._opened is not None:
            return self._opened
        opened: Opened = self._run(self._streaming.begin())
        self.reader = StreamReader(opened.reply.head, opened.endpoint.target, opened.clock)
        self._opened = opened
        if self._closed:  # meanwhile, by somebody else
            opened.reply.close()
        return opened

    def close(self) -> None:
        """Free the target."""
        self._closed = True
        self._streaming.abandon()
        if self._opened is not None:
            self._opened.reply.close()

    def pieces(self) -> Iterator[Piece]:
        """The pieces of each reply, and of the tools that are run in between."""
        while not self._closed:
            opened = self.open()
            reader = self.reader
            assert reader is not None
            # Not in a generator of its own: one more per chunk would be felt on the token path.
            try:
                for chunk in opened.reply.chunks():
                    yield from reader.feed(chunk)
                found = reader.end()
            except (TransportFailure, PhaseElapsed, StreamBroken) as failure:
                found = self._ended(opened, reader, failure)
            finally:
                opened.reply.close()
            if found is None:  # closed by somebody else
                return
            answer = self._streaming.take(found)
            calls = self._streaming.due
            if not calls:
                self.answer = answer
                return
            results: list[ToolResult] = []
            for call in calls:
                results += self._run(self._streaming.use((call,)))
                yield Piece("", result=results[-1])
            self._streaming.told(results)
            self._opened = None

    def _ended(self, opened: Opened, reader: StreamReader, failure: Exception) -> Answer | None:
        """The answer, if it was whole before the failure; None if we closed it. Raises what the failure means."""
        if isinstance(failure, StreamBroken):
            cause = TransportFailure(failure.message, connected=True)
            found = self._run(broken(opened.endpoint, cause, reader.text))
            if isinstance(found, StreamBroken):
                raise failure
            raise found from failure
        if reader.finished:
            return reader.end()
        if self._closed:
            return None
        assert isinstance(failure, (TransportFailure, PhaseElapsed))
        raise (self._run(broken(opened.endpoint, failure, reader.text))) from failure
