# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an answer goes while it comes: to a pipe as it is, to a terminal as Markdown, or nowhere yet."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol, TextIO

from llama_orch.cli.output import printable

if TYPE_CHECKING:
    from llama_orch.cli.output import Output


class Sink(Protocol):
    """Takes the text in pieces. Both methods raise what the stream raises (BrokenPipeError, OSError)."""

    def write(self, piece: str) -> None:
        """Take `piece`."""
        ...

    def finish(self) -> None:
        """There is no more."""
        ...


class Plain:
    """Each piece at once, as it came; a line break at the end if the answer has none."""

    def __init__(self, stream: TextIO, *, escaped: bool) -> None:
        self._stream = stream
        self._escaped = escaped
        self._last = "\n"

    def write(self, piece: str) -> None:
        """Send `piece` off."""
        if piece:
            self._last = piece[-1]
            self._stream.write(_visible(piece) if self._escaped else piece)
            self._stream.flush()

    def finish(self) -> None:
        """End the line."""
        if self._last != "\n":
            self._stream.write("\n")
        self._stream.flush()


class Kept:
    """Nothing is shown: somebody prints the whole afterwards."""

    def write(self, piece: str) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""


def streaming(out: Output, *, markdown: bool = True) -> Sink:
    """The sink that fits stdout; `markdown` False shows the text as it is also on a terminal."""
    stream = out.stdout
    if not stream.isatty():
        return Plain(stream, escaped=False)
    if not markdown or os.environ.get("TERM", "dumb") == "dumb":
        return Plain(stream, escaped=True)
    from llama_orch.cli.markdown.stream import MarkdownStream

    return MarkdownStream(stream, coloured=out.paint("", "bold") != "")


def _visible(piece: str) -> str:
    """Without control characters that move a cursor."""
    return "\t".join(printable(part) for part in piece.split("\t"))
