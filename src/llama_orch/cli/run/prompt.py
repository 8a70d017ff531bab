# SPDX-License-Identifier: GPL-3.0-or-later
"""The question: stdin first, then the files, then the words, with blank lines between."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from llama_orch.cli.failure import UsageError
from llama_orch_utils.errors import BadRequest

# Seconds after which a pipe in which nothing comes is mentioned.
PATIENCE = 2.0
# More than any context holds; what is larger is no question but a mistake.
MOST_BYTES = 64 * 1024 * 1024
_EXAMPLE = "orch run 'Why is the sky blue?'"
_NO_STDIN = "it waits for standard input (end it with ^D, or leave it out: < /dev/null)"


def assemble(words: Sequence[str], files: Sequence[str], attached: Sequence[str] = ()) -> str | None:
    """The whole question; None where there is nothing and a terminal to ask at. Raises UsageError, BadRequest.

    `attached` are what -a names: they may be all there is, and `-` among them has read standard input.
    """
    if "-" in attached and "-" in words:
        raise UsageError("- is the question or an attachment, not both", hint="orch run -a - 'What is this?' < FILE")
    said = " ".join(word for word in words if word != "-")
    if words and not said.strip() and "-" not in words:
        raise UsageError("the prompt is empty", hint=_EXAMPLE)
    stdin = "" if "-" in attached else read_stdin(wanted="-" in words)
    parts = [stdin, *(read_file(name) for name in files), _argument(said)]
    text = "\n\n".join(part.strip("\n") for part in parts if part.strip())
    if text or attached:
        return text
    if "-" not in words and not files and _is_terminal(sys.stdin):
        return None
    raise UsageError("there is no prompt: no words, and nothing on standard input", hint=_EXAMPLE)


def read_stdin(*, wanted: bool) -> str:
    """What standard input holds; a terminal is read only when `-` asks for it."""
    if sys.stdin is None or (_is_terminal(sys.stdin) and not wanted):  # pyright: ignore[reportUnnecessaryComparison] - closed by `<&-`
        return ""
    if not _is_terminal(sys.stdin):
        _mention_waiting()
    try:
        content = sys.stdin.buffer.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadRequest(f"cannot read standard input: {error.strerror}", hint="orch run -f FILE 'Go on'") from error
    return text_of(content, "standard input")


def read_file(name: str) -> str:
    """The text of a file. Raises UsageError."""
    try:
        with Path(name).expanduser().open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}", hint=f"ls -ld {name}") from error
    return text_of(content, name)


def _argument(said: str) -> str:
    """The words as the shell gave them: bytes that are no UTF-8 came in as surrogates (PEP 383)."""
    try:
        said.encode()
    except UnicodeEncodeError as error:
        raise BadRequest(
            "the prompt is not UTF-8 text", hint="iconv -f LATIN1 -t UTF-8 question.txt | orch run"
        ) from error
    return said


def text_of(content: bytes, name: str) -> str:
    """Bytes as text. Raises BadRequest for what is none, with the place of the first wrong byte."""
    if len(content) > MOST_BYTES:
        raise BadRequest(
            f"{name} is larger than {MOST_BYTES // 1024**2} MiB; no model's context holds that",
            hint="cut it, or summarise it in parts: orch summarize FILE",
        )
    if (zero := content.find(0)) >= 0:
        raise BadRequest(
            f"{name} is binary, not text: byte {zero} is zero", hint="turn it into text, then: orch run -f FILE.txt"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"{name} is not UTF-8: byte {error.start} is 0x{content[error.start]:02x}",
            hint="iconv -f LATIN1 -t UTF-8 FILE | orch run 'the question'",
        ) from error


def _mention_waiting() -> None:
    """Say what it waits for when a pipe stays silent: its writer may be slow, or not know that it is one."""
    import select

    mode = os.fstat(sys.stdin.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return
    if not select.select([sys.stdin], [], [], PATIENCE)[0]:
        print(f"note: {_NO_STDIN}", file=sys.stderr, flush=True)


def _is_terminal(stream: object) -> bool:
    return stream is not None and os.isatty(sys.stdin.fileno())
