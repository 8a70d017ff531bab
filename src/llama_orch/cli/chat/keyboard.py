# SPDX-License-Identifier: GPL-3.0-or-later
"""What is typed: lines, with editing and history where Python has readline, put together to messages."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from llama_orch.cli.output import Output

PROMPT, MORE = ">>> ", "... "
_FENCE = '"""'
_LINES_KEPT = 1000


class Keyboard:
    """Reads messages. With `keep`, what was typed is there the next time (arrow up); keys are struck out of it."""

    def __init__(self, out: Output, *, keep: bool) -> None:
        self._out = out
        self._keep = keep
        self._readline = _readline() if out.stdout.isatty() else None

    def __enter__(self) -> Self:
        if self._readline is not None:
            self._readline.parse_and_bind("tab: complete")
            self._readline.set_completer_delims(" ")
            self._readline.set_completer(_complete)
            with contextlib.suppress(OSError):  # there is none yet
                self._readline.read_history_file(str(_file()))
        return self

    def __exit__(self, *_: object) -> None:
        if self._readline is not None and self._keep:
            _save(self._readline, self._out)

    def read(self) -> str | None:
        """The next message; None at the end of input. `^C` throws away what was begun, as KeyboardInterrupt."""
        line = self._line(PROMPT)
        if line is None:
            return None
        if line.lstrip().startswith(_FENCE):
            return self._fenced(line.lstrip().removeprefix(_FENCE))
        lines: list[str] = []
        while line is not None and line.endswith("\\"):
            lines.append(line.removesuffix("\\"))
            line = self._line(MORE)
        return "\n".join([*lines, line or ""])

    def _fenced(self, line: str | None) -> str:
        """Everything up to the next fence, or the end of input."""
        lines: list[str] = []
        while line is not None and not line.rstrip().endswith(_FENCE):
            lines.append(line)
            line = self._line(MORE)
        if line is not None and (rest := line.rstrip().removesuffix(_FENCE)):
            lines.append(rest)
        return "\n".join(lines).strip("\n")

    def _line(self, prompt: str) -> str | None:
        try:
            line = input(prompt) if self._readline is not None else self._plain(prompt)
        except EOFError:
            print(file=sys.stderr)
            return None
        except KeyboardInterrupt:
            print(file=sys.stderr)
            raise
        except UnicodeDecodeError:
            self._out.warn("what was typed is not UTF-8, and is thrown away", "set the terminal's encoding to UTF-8")
            return ""
        if self._readline is not None:
            _strike_keys(self._readline, line)
        return line

    def _plain(self, prompt: str) -> str:
        """Without readline, or with stdout somewhere else: the prompt is no data, so it goes to stderr."""
        print(prompt, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\n")


def _readline() -> ModuleType | None:
    try:
        import readline
    except ImportError:  # a Python built without it
        return None
    return readline


def _file() -> Path:
    from llama_orch_utils.config import paths

    return paths.state_dir() / "chat_history"


def _strike_keys(readline: Any, line: str) -> None:
    """Replace the newest entry of the history by one without keys."""
    from llama_orch.cli.redact import redact

    struck, newest = redact(line), readline.get_current_history_length() - 1
    if struck != line and newest >= 0:
        readline.replace_history_item(newest, struck)


def _save(readline: Any, out: Output) -> None:
    from llama_orch_utils.config import paths
    from llama_orch_utils.errors import ConfigError

    try:
        path = _file()
        paths.ensure_private(path.parent)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        readline.set_history_length(_LINES_KEPT)
        readline.write_history_file(str(path))
        path.chmod(0o600)
    except (OSError, ConfigError) as error:
        out.warn(f"what was typed is not kept for the next time: {error}")


def _complete(text: str, state: int) -> str | None:
    """The slash words that begin with `text`."""
    found = list(_completions(text))
    return found[state] if state < len(found) else None


def _completions(text: str) -> Iterator[str]:
    from llama_orch.cli.chat.words import WORDS

    return (word for word in WORDS if text.startswith("/") and word.startswith(text))
