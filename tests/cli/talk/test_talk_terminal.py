# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch run` on a real terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from talk_terminal import Terminal
from test_talk_markdown import of_rich

from llama_orch_utils.testing import FakeTap, Script

Open = Callable[..., Terminal]
PAGE = """\
# Birds

The *wren* is small, the **ostrich** is tall, and `penguins` swim.

1. robin
2. wren
   - small

| bird | 高さ |
|------|-----:|
| wren |    9 |

```python
def fly(bird):
    return bird.wings > 1
```

> quoted words that are long enough to need another line on a narrow terminal, or even two of them

The last paragraph.
"""


def cut(text: str, size: int) -> tuple[str, ...]:
    return tuple(text[place : place + size] for place in range(0, len(text), size))


def test_the_end_is_what_rich_makes_of_the_whole(terminal: Open, tap: FakeTap) -> None:
    tap.script(Script(cut(PAGE, 4), pause=0.01))
    screen = terminal("run", "-nq", "Birds?", columns=60)
    assert screen.end() == 0
    assert screen.lines() == of_rich(PAGE, 60, 24)


def test_a_page_longer_than_the_screen(terminal: Open, tap: FakeTap) -> None:
    page = "first paragraph\n\n```\n" + "".join(f"line {number}\n" for number in range(60)) + "```\n\n" + PAGE
    tap.script(Script(cut(page, 40), pause=0.01))
    screen = terminal("run", "-nq", "Go", columns=50, lines=12)
    assert screen.end() == 0
    assert screen.lines() == of_rich(page, 50, 12)


def test_what_is_final_is_written_once(terminal: Open, tap: FakeTap) -> None:
    """Bytes, not the screen: once the second block has come, the first is never written again."""
    tap.script(Script(("alpha beta\n\n", "gamma ", *["delta "] * 40, "\n\n", "omega"), pause=0.03))
    screen = terminal("run", "-nq", "Go", columns=40)
    assert screen.end() == 0
    frames = screen.written.split(b"\x1b[?2026h")
    final = next(place for place, frame in enumerate(frames) if b"alpha" in frame and b"gamma" in frame)
    # The draft, which is there before rich is, may come before it.
    assert sum(b"alpha" in frame for frame in frames[final + 1 :]) <= 1
    last = max(place for place, frame in enumerate(frames) if b"alpha" in frame)
    assert sum(b"delta" in frame for frame in frames[last + 1 :]) > 3


def test_an_answer_cannot_move_the_cursor(terminal: Open, tap: FakeTap) -> None:
    tap.answer(["before\x1b[2J\x1b]0;title\x07\x9b", "after\r\n\n", "end"])
    screen = terminal("run", "-nq", "Go")
    assert screen.end() == 0
    assert b"\x1b[2J" not in screen.written
    assert b"\x1b]0;" not in screen.written
    assert screen.lines()[-1] == "end"


def test_a_terminal_that_is_dumb_gets_no_codes(terminal: Open, tap: FakeTap) -> None:
    tap.answer(["# Plain\n\nwords\x1b[31m"])
    screen = terminal("run", "-nq", "Go", env={"TERM": "dumb"})
    assert screen.end() == 0
    assert screen.written == b"# Plain\r\n\r\nwords\\x1b[31m\r\n"


def test_no_colour_keeps_the_layout(terminal: Open, tap: FakeTap) -> None:
    tap.script(Script(cut(PAGE, 9)))
    screen = terminal("run", "-nq", "Go", columns=60, env={"NO_COLOR": "1"})
    assert screen.end() == 0
    assert screen.lines() == of_rich(PAGE, 60, 24)
    assert re.search(rb"\x1b\[[0-9;]*(3[0-7]|4[0-7]|38|48)[;m]", screen.written) is None


def test_another_size_while_it_streams(terminal: Open, tap: FakeTap) -> None:
    tap.script(Script(("settled\n\n", *["word "] * 60, "\n\nend\n"), pause=0.03))
    screen = terminal("run", "-nq", "Go", columns=80)
    screen.wait(lambda: screen.text().count("word") > 10)
    screen.resize(40, 24)
    assert screen.end() == 0
    assert "settled" in screen.text()
    assert screen.text().count("word") >= 60
    assert screen.lines()[-1] == "end"


def test_interrupted_on_a_terminal(terminal: Open, tap: FakeTap) -> None:
    tap.script(Script(("# Title\n\n", "some words ", *["more "] * 500), pause=0.05))
    screen = terminal("run", "-n", "Go")
    screen.wait("some words")
    screen.press("c")
    assert screen.end() == 130
    assert "stopped after at least" in screen.text()
    assert screen.lines()[-1] == "interrupted"
    tap.wait_left(1)


def test_interrupted_while_nothing_comes(terminal: Open, tap: FakeTap) -> None:
    tap.script(Script(("late",), delay=60))
    screen = terminal("run", "-n", "-m", "big", "Go")
    tap.wait_asked(1)
    screen.press("c")
    assert screen.end() == 130
    assert "stopped before the first token" in screen.text()


def test_a_stream_that_breaks_on_a_terminal(terminal: Open, tap: FakeTap) -> None:
    tap.cut("# Half\n\n", "an answer", pause=0.3)
    screen = terminal("run", "-n", "Go")
    assert screen.end() == 3
    assert "an answer" in screen.text()
    assert "error: the stream of" in screen.text()


SLOW = """
import sys, time

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "rich.markdown":
            time.sleep(1)

sys.meta_path.insert(0, Slow())
"""


def test_the_first_words_do_not_wait_for_rich(terminal: Open, tap: FakeTap, tmp_path: Path) -> None:
    """On a machine that takes a second to load it, the text is shown as it is meanwhile."""
    (tmp_path / "sitecustomize.py").write_text(SLOW)
    tap.script(Script(("**first** ", *["word "] * 60), pause=0.03))
    screen = terminal("run", "-nq", "Go", env={"PYTHONPATH": str(tmp_path)})
    assert screen.end() == 0
    assert b"**first** word" in screen.written
    assert screen.lines() == of_rich("**first** " + "word " * 60, 80, 24)
