# SPDX-License-Identifier: GPL-3.0-or-later
"""Markdown that streams: at the end the screen is what rich makes of the whole, and nothing final is drawn again."""

from __future__ import annotations

import io
import os
import random
import re

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from talk_terminal import text_of

from llama_orch.cli.markdown.blocks import Blocks
from llama_orch.cli.markdown.draft import columns, wrapped
from llama_orch.cli.markdown.region import Region
from llama_orch.cli.markdown.rendering import Renderer
from llama_orch.cli.markdown.stream import _Page

PAGES = {
    "paragraphs": "First words.\n\nSecond *words* and **more**, `code`, ~~gone~~.\n\nThird.",
    "wide": "日本語のテキストは広い。" * 12 + "\n\n" + "한국어 " * 40 + "\n\nnaïve café – ok\n",
    "headings": "# One\ntext\n## Two\n\ntext\n\nSetext\n======\n\nAnother\n---\n",
    "rule": "before\n\n---\n\nafter\n\n***\nlast\n",
    "fence": "Look:\n\n```python\ndef f(x):\n    return x\n\n\nprint(f(1))\n```\n\nDone.\n",
    "open fence": "```sh\nls -l\necho one\n",
    "long fence": "```\n" + "".join(f"line {n}\n" for n in range(40)) + "```\n\nafter\n",
    "list": "- one\n- two\n  - inner\n  - more\n\n  a paragraph in two\n- three\n\nafter\n",
    "long list": "".join(f"{n}. item number {n} " + "word " * 20 + "\n" for n in range(1, 14)) + "\nafter\n",
    "list goes on after an empty line": "1. a\n\n1. b\n\n2. c\n\nend",
    "quote": "> quoted\n> more\nlazy\n\n> again\n\nend\n",
    "table": "| a | b |\n|---|--:|\n| 1 | 2 |\n| longer cell | 日本 |\n\nafter\n",
    "table in a paragraph": "text\na | b\n---|---\n1 | 2\n\nafter",
    "html": "<div>\nx\n</div>\n\nafter\n",
    "image": "![alt](http://e.x/a.png) text\n\nmore ![b](c)\n\nend\n",
    "link": "see [this](https://example.org/a) and <https://example.org>\n\nmore\n",
    "references": "[a]: https://example.org\n\nsee [a] here\n\nand [a] there\n",
    "indented code": "text\n\n    code\n\n    more\n\ntext\n",
    "windows": "one\r\n\r\ntwo\r\n\r\n- a\r\n- b\r\n",
    "empty": "",
    "spaces": "\n\n  \n",
    "tabs": "a\tb\n\n\tcode\n",
    "full lines": "x" * 80 + "\n\n" + "y" * 160 + "\n\nz\n",
}


def of_rich(text: str, width: int, lines: int) -> list[str]:
    from rich.console import Console
    from rich.markdown import Markdown

    file = io.StringIO()
    Console(file=file, force_terminal=True, width=width, color_system="256", legacy_windows=False).print(Markdown(text))
    screen = pyte.HistoryScreen(width, lines, history=10000)
    pyte.Stream(screen).feed(file.getvalue().replace("\n", "\r\n"))
    return text_of(screen)


class Recorder(io.StringIO):
    """Follows the cursor: `lowest` is the smallest line number that was written to since `mark`."""

    def __init__(self, width: int, lines: int) -> None:
        super().__init__()
        self.screen = pyte.HistoryScreen(width, lines, history=10000)
        self._stream = pyte.Stream(self.screen)
        self.row = self.touched = 0

    def write(self, text: str) -> int:
        for code in re.findall(r"\x1b\[(\d+)A|(\n)", text):
            self.row += 1 if code[1] else -int(code[0])
            self.touched = min(self.touched, self.row)
        self._stream.feed(text.replace("\n", "\r\n"))
        return len(text)


def play(pieces: list[str], width: int, height: int) -> list[str]:
    """Stream `pieces`; asserts that no line above the live ones is touched."""
    recorder = Recorder(width, height)
    page = _Page(recorder, Blocks(), Renderer(coloured=True))  # type: ignore[arg-type]
    size = os.terminal_size((width, height))
    final = 0
    for number, piece in enumerate([*pieces, ""]):
        recorder.touched = recorder.row
        page.draw(piece.replace("\r", ""), size, done=number == len(pieces))
        assert recorder.touched >= final, f"a final line was drawn again with piece {number}"
        shown = len(page._region._shown)
        assert shown < height
        final = recorder.row - shown
    return text_of(recorder.screen)


def pieces_of(text: str, seed: int) -> list[str]:
    chance = random.Random(seed)
    pieces: list[str] = []
    while text:
        size = chance.choice((1, 3, 9, 30))
        pieces.append(text[:size])
        text = text[size:]
    return pieces


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "height"), [(80, 24), (31, 8)])
def test_the_screen_is_what_rich_makes_of_the_whole(name: str, width: int, height: int) -> None:
    text = PAGES[name]
    assert play(pieces_of(text, seed=len(text)), width, height) == of_rich(text, width, height)


def test_one_letter_at_a_time_is_the_same() -> None:
    text = "\n\n".join(PAGES[name] for name in ("paragraphs", "list", "table", "fence", "rule", "quote"))
    assert play(list(text), 60, 12) == of_rich(text, 60, 12)


_LINES = st.sampled_from(
    ["word", "two words *em*", "- item", "  - inner", "1. one", "2) two", "> quote", "```", "~~~py", "    code", "",
     "---", "# head", "| a | b |", "|---|---|", "===", "<b>", "[x]: y", "[x] z", "* star", "\ttab", "+ plus", "  ",
     "日本", "\\", "&amp;"]
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(_LINES, max_size=14), st.integers(0, 2**32))
def test_any_markdown_ends_as_rich_has_it(lines: list[str], seed: int) -> None:
    text = "\n".join(lines)
    shown = play(pieces_of(text, seed), 40, 10)
    # A link that is defined only after it was shown stays as it was shown.
    assert shown == of_rich(text, 40, 10) or "[x]" in text


@given(st.text(max_size=200), st.integers(2, 40))
def test_the_draft_keeps_every_character_and_the_width(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert "".join(lines).replace(" ", "") == text.expandtabs(8).replace("\n", "").replace(" ", "")
    assert all(sum(map(columns, line)) <= width for line in lines)


def test_only_lines_that_changed_are_written() -> None:
    stream = io.StringIO()
    region: Region[str] = Region(stream, str)
    region.update([], ["same", "old"])
    stream.truncate(0)
    region.update([], ["same", "new"])
    assert "same" not in stream.getvalue()
    assert "new" in stream.getvalue()
    stream.truncate(0)
    stream.seek(0)
    region.update([], ["same", "new"])
    assert stream.getvalue() == ""


def test_another_size_draws_the_live_block_anew_and_nothing_above_it() -> None:
    recorder = Recorder(40, 12)
    page = _Page(recorder, Blocks(), Renderer(coloured=False))  # type: ignore[arg-type]
    page.draw("first block\n\nsecond block is " + "long " * 10, os.terminal_size((40, 12)), done=False)
    final = recorder.row - len(page._region._shown)
    recorder.touched = recorder.row
    recorder.screen.resize(12, 25)
    page.draw("", os.terminal_size((25, 12)), done=False)
    page.draw("end", os.terminal_size((25, 12)), done=True)
    assert recorder.touched >= final
    assert text_of(recorder.screen)[0] == "first block"
    words = " ".join(text_of(recorder.screen)).split()
    assert words == ["first", "block", "second", "block", "is", *["long"] * 10, "end"]
