# SPDX-License-Identifier: GPL-3.0-or-later
"""How the command ends when an exception reached the top: words on stderr, nothing half-written, the exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from llama_orch.cli.failure import debugging, exit_code, words
from llama_orch.cli.output import Output


def end(error: BaseException, argv: Sequence[str]) -> int:
    """Say what happened and give the exit code. `SystemExit` keeps its own."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    error = _interrupt_behind(error) or error
    # First, because what stdout still holds may be what cannot be written (a closed pipe, a full disk).
    drop_unwritten()
    with contextlib.suppress(OSError, ValueError, KeyboardInterrupt):
        _say(error, argv)
    return exit_code(error)


def _interrupt_behind(error: BaseException) -> KeyboardInterrupt | None:
    """The `^C` that an error came of: Python makes one that falls into `__set_name__` a RuntimeError."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, KeyboardInterrupt):
            return cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return None


def _say(error: BaseException, argv: Sequence[str]) -> None:
    if debugging() and not isinstance(error, BrokenPipeError):
        import traceback

        from llama_orch.cli.redact import redact

        sys.stderr.write(redact("".join(traceback.format_exception(error))))
    if isinstance(error, BrokenPipeError):
        return
    out = Output(color=_choice(argv))
    if isinstance(error, KeyboardInterrupt):
        print("interrupted", file=sys.stderr, flush=True)
        return
    message, hint = words(error)
    out.error(message, hint)


def _choice(argv: Sequence[str]) -> str | None:
    """The value of `--color` in a line that may not have been parsed."""
    for place, word in enumerate(argv):
        if word == "--":
            break
        if word.startswith("--color="):
            return word.partition("=")[2]
        if word == "--color" and place + 1 < len(argv):
            return argv[place + 1]
    return None


def drop_unwritten() -> None:
    """Point stdout at nothing when what it holds cannot be written: it would be tried, and fail, again and again."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
