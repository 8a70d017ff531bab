# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way out: data to stdout (for people, as JSON, or ids only), everything else to stderr.

Colour only where `Output.paint` finds that it is wanted. What a locale cannot encode is escaped, never an exception.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TextIO, cast

Mode = Literal["human", "json", "quiet"]
Paint = Literal["bold", "dim", "red", "green", "yellow", "cyan"]
_CODES: dict[Paint, str] = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}

_STEP = 1000


def colour_wanted(stream: TextIO, choice: str | None) -> bool:
    """Whether `stream` gets colour: `choice` (always, never), else whether it is a terminal that is not dumb."""
    if choice in {"always", "never"}:
        return choice == "always"
    return os.environ.get("TERM") != "dumb" and stream.isatty()


def printable(text: str) -> str:
    """`text` with control characters escaped: a name from elsewhere cannot move the cursor or change the title."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in "\n\t" else repr(each)[1:-1] for each in text)


def one_line(text: object, width: int = 72) -> str:
    """The start of a text on one line of at most `width` characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= width else f"{line[: width - 3]}..."


class Output:
    """What a command prints through. `mode` is human, json or quiet; `color` is the value of `--color`, if given."""

    def __init__(self, mode: Mode = "human", color: str | None = None) -> None:
        self.mode: Mode = mode
        self.stdout: TextIO = sys.stdout
        self.stderr: TextIO = sys.stderr
        self.color = color

    @property
    def json(self) -> bool:
        """Whether `--json` was given."""
        return self.mode == "json"

    @property
    def quiet(self) -> bool:
        """Whether `-q` was given."""
        return self.mode == "quiet"

    def paint(self, text: str, *paints: Paint, stream: TextIO | None = None) -> str:
        """`text` in colours, where `stream` (stdout unless given) takes them."""
        if not paints or not colour_wanted(stream or self.stdout, self._choice()):
            return text
        return f"\x1b[{';'.join(_CODES[each] for each in paints)}m{text}\x1b[0m"

    def _choice(self) -> str | None:
        """The flag, NO_COLOR, FORCE_COLOR (https://no-color.org, https://force-color.org), the setting of a file."""
        if self.color is None:
            if os.environ.get("NO_COLOR"):
                return "never"
            if os.environ.get("FORCE_COLOR"):
                return "always"
            from llama_orch_utils import config
            from llama_orch_utils.errors import ConfigError

            try:
                value = config.load(environ={}).get("color").value
            except ConfigError:
                # The command that needs the file tells what is wrong with it; colour is no reason to.
                value = "auto"
            self.color = str(value)
        return self.color

    def write(self, text: str) -> None:
        """Data, as it is, to stdout."""
        self.stdout.write(text)

    def line(self, text: str) -> None:
        """One line of data to stdout."""
        self.stdout.write(f"{text}\n")

    def data(self, value: object, *, compact: bool = False) -> None:
        """One JSON value to stdout; `compact` puts it on one line (JSON Lines) and sends it off."""
        self.line(as_json(value, compact=compact, encoding=self.stdout.encoding))
        if compact:
            self.stdout.flush()

    def table(
        self,
        rows: Sequence[Mapping[str, object]],
        columns: Mapping[str, Callable[[object], str] | None],
        *,
        key: str,
        empty: str,
    ) -> None:
        """A list: a table of `columns` (name -> how a value is written), a JSON array of the rows, or their `key`s.

        `empty` is the note for people when there is nothing.
        """
        if self.mode == "json":
            self.data(rows)
        elif self.mode == "quiet":
            self._ids(rows, key)
        elif rows:
            self._columns(rows, columns)
        else:
            self.note(empty)

    def record(self, values: Mapping[str, object], *, key: str) -> None:
        """One thing: `name  value` lines, a JSON object, or its `key`."""
        if self.mode == "json":
            self.data(values)
        elif self.mode == "quiet":
            self._ids([values], key)
        else:
            width = max(len(name) for name in values)
            for name, value in values.items():
                self.line(f"{self.paint(name.replace('_', ' ').ljust(width), 'dim')}  {written(value)}".rstrip())

    def note(self, text: str) -> None:
        """A line for people, on stderr; not with `-q`."""
        if self.mode != "quiet":
            self._say(printable(text))

    def warn(self, message: str, hint: str | None = None) -> None:
        """A warning on stderr, with the next command where there is one."""
        self._say(f"{self.paint('warning:', 'yellow', 'bold', stream=self.stderr)} {printable(message)}")
        if hint:
            self._say(f"{self.paint('hint:', 'cyan', 'bold', stream=self.stderr)} {printable(hint)}")

    def error(self, message: str, hint: str | None) -> None:
        """An error on stderr: what happened, a blank line, the next command."""
        self._say(f"{self.paint('error:', 'red', 'bold', stream=self.stderr)} {printable(message)}")
        if hint:
            self._say(f"\n{self.paint('hint:', 'cyan', 'bold', stream=self.stderr)} {printable(hint)}")

    def _say(self, text: str) -> None:
        self.stdout.flush()
        print(text, file=self.stderr, flush=True)

    def _ids(self, rows: Sequence[Mapping[str, object]], key: str) -> None:
        for row in rows:
            self.line(str(row[key]))

    def _columns(
        self, rows: Sequence[Mapping[str, object]], columns: Mapping[str, Callable[[object], str] | None]
    ) -> None:
        cells = [[printable((form or written)(row.get(name))) for name, form in columns.items()] for row in rows]
        heads = [name.replace("_", " ").upper() for name in columns]
        widths = [max(len(each) for each in column) for column in zip(heads, *cells, strict=True)]
        self.line(self.paint(_spread(heads, widths), "bold"))
        for row in cells:
            self.line(_spread(row, widths))


def _spread(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def written(value: object) -> str:
    """A value for people: nothing for None, yes and no, lists with commas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(written(each) for each in cast("Sequence[object]", value))
    return printable(str(value))


def size(value: object) -> str:
    """Bytes for people: `4.2 MB` (powers of 1000, as disks are sold)."""
    number = float(value) if isinstance(value, (int, float)) else 0.0
    for unit in ("B", "kB", "MB", "GB"):
        if number < _STEP:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= _STEP
    return f"{number:.1f} TB"


def as_json(value: object, *, compact: bool, encoding: str) -> str:
    """JSON text; beyond ASCII only in UTF-8, the one encoding of JSON between systems (RFC 8259, section 8.1).

    What a terminal might obey (control characters, marks of direction) is escaped: metadata of a stranger's file may
    be in it.
    """
    import json

    separators = (",", ":") if compact else None
    text = json.dumps(value, ensure_ascii=False, indent=None if compact else 2, separators=separators)
    utf8 = encoding.lower().replace("_", "-") in {"utf-8", "utf8"}
    if (text.isascii() and "\x7f" not in text) or (utf8 and not any("\ud800" <= letter <= "\udfff" for letter in text)):
        return text if text.isascii() and "\x7f" not in text else _visible(text)
    return json.dumps(value, ensure_ascii=True, indent=None if compact else 2, separators=separators)


def _visible(text: str) -> str:
    """The same JSON, every character that is not printable written as its number."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        letter if letter == "\n" or letter.isprintable() else "".join(f"\\u{unit:04x}" for unit in _units(letter))
        for letter in text
    )


def _units(letter: str) -> tuple[int, ...]:
    """UTF-16 code units, as JSON's escapes are."""
    code = ord(letter)
    if code <= 0xFFFF:  # noqa: PLR2004 - the end of the plane that one unit holds
        return (code,)
    return 0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF)
