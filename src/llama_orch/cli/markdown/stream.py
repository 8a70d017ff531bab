# SPDX-License-Identifier: GPL-3.0-or-later
"""An answer on a terminal: what streams in is rendered by a thread that loads rich first.

Until rich is there (some 0.2 s, while the first tokens already come), the text is shown as it is.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, TextIO

from llama_orch.cli.markdown.draft import wrapped
from llama_orch.cli.markdown.region import Region

if TYPE_CHECKING:
    from llama_orch.cli.markdown.blocks import Blocks
    from llama_orch.cli.markdown.rendering import Line, Renderer

# Seconds between two frames at least; a frame that takes long makes the next one wait this many times as long.
_FRAME, _REST = 0.04, 3
# Seconds after which the size of the terminal is looked at, also when nothing comes.
_LOOK = 0.5
# Seconds that a quick first piece has before rich is loaded: it would share the interpreter with that.
_HEAD_START = 0.15
_FALLBACK = os.terminal_size((80, 24))
# Control characters of C0 and C1: an answer may not move the cursor. Line breaks are `\n` alone.
_CONTROLS = {code: "\ufffd" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)} | {0x0D: None}


class MarkdownStream:
    """Takes pieces of Markdown; `finish` leaves on the screen what rich makes of the whole.

    `write` and `finish` raise what the terminal raised (it may be gone).
    """

    def __init__(self, stream: TextIO, *, coloured: bool) -> None:
        self._stream = stream
        self._coloured = coloured
        self._pending: list[str] = []
        self._something = threading.Event()
        self._lock = threading.Lock()
        self._ready = False
        self._done = threading.Event()
        self._draft: Region[str] = Region(stream, str)
        self._error: Exception | None = None
        self._painter = threading.Thread(target=self._paint, name="markdown", daemon=True)
        self._painter.start()

    def write(self, piece: str) -> None:
        """Show `piece` soon."""
        with self._lock:
            if self._error is not None:
                raise self._error
            self._pending.append(piece.translate(_CONTROLS))
            if not self._ready:
                self._draw_draft()
        self._something.set()

    def finish(self) -> None:
        """Show everything, for good."""
        self._done.set()
        self._something.set()
        self._painter.join()
        if self._error is not None:
            raise self._error

    def _draw_draft(self) -> None:
        size = self._size()
        lines = wrapped("".join(self._pending), size.columns)
        self._draft.update([], lines[-max(size.lines - 1, 1) :])

    def _paint(self) -> None:
        try:
            self._paint_all()
        except Exception as error:  # noqa: BLE001 - handed to the thread that writes, whatever it is
            self._error = error

    def _paint_all(self) -> None:
        self._something.wait(_HEAD_START)
        from llama_orch.cli.markdown.blocks import Blocks
        from llama_orch.cli.markdown.rendering import Renderer

        page = _Page(self._stream, Blocks(), Renderer(coloured=self._coloured))
        with self._lock:
            self._ready = True
            self._draft.erase()
        while True:
            done = self._done.is_set()
            self._something.clear()
            with self._lock:
                text, self._pending = "".join(self._pending), []
            begun = time.monotonic()
            page.draw(text, self._size(), done=done)
            if done:
                return
            spent = time.monotonic() - begun
            self._something.wait(_LOOK)
            self._done.wait(max(_FRAME - spent, spent * _REST))

    def _size(self) -> os.terminal_size:
        with contextlib.suppress(OSError, ValueError):
            size = os.get_terminal_size(self._stream.fileno())
            if size.columns and size.lines:
                return size
        return _FALLBACK


class _Page:
    """What rich makes of the text so far, on the screen."""

    def __init__(self, stream: TextIO, blocks: Blocks, renderer: Renderer) -> None:
        self._blocks = blocks
        self._renderer = renderer
        self._region: Region[Line] = Region(stream, renderer.codes)
        self._size: os.terminal_size | None = None

    def draw(self, text: str, size: os.terminal_size, *, done: bool) -> None:
        """Show what came; `done` makes all of it final."""
        if self._size not in (None, size):
            self._region.erase()
        elif not text and not done:
            return
        self._size = size
        final = self._renderer.lines(self._blocks.push(text), size.columns)
        live = self._renderer.lines(self._blocks.tail(), size.columns)
        if done:
            self._region.update([*final, *live], [])
        else:
            # Of a block higher than the screen its end is shown; all of it is printed when it is final.
            self._region.update(final, live[-max(size.lines - 1, 1) :])
