# SPDX-License-Identifier: GPL-3.0-or-later
"""The one map from an exception to words and an exit code.

0 done, 1 failed, 2 usage, 3 target unreachable or engine failed, 4 not authorised, 5 out of credits or over budget,
130 interrupted, 141 pipe closed.
"""

from __future__ import annotations

import os

from llama_orch_utils import errors

FAILED, USAGE, TARGET, AUTH, MONEY, INTERRUPTED, PIPE_CLOSED = 1, 2, 3, 4, 5, 130, 141

EXIT_CODES: tuple[tuple[int, str], ...] = (
    (0, "done"),
    (FAILED, "failed: what was asked could not be done"),
    (USAGE, "usage: the command line is not understood"),
    (TARGET, "the target cannot be reached, or its engine failed"),
    (AUTH, "not authorised: no key, a wrong key, or a key that may not do this"),
    (MONEY, "out of credits, or over a budget"),
    (INTERRUPTED, "interrupted (^C)"),
    (PIPE_CLOSED, "the reader of the output went away (| head)"),
)

_BY_KIND: tuple[tuple[type[errors.OrchError], int], ...] = (
    (errors.InsufficientCredits, MONEY),
    (errors.BudgetExceeded, MONEY),
    (errors.NotAuthorised, AUTH),
    (errors.NotAllowed, AUTH),
    (errors.TargetError, TARGET),
    (errors.StreamBroken, TARGET),
)


class UsageError(errors.OrchError):
    """The command line is not understood: exit code 2."""

    code = "usage"


def exit_code(error: BaseException) -> int:
    """The exit code for an exception that reached the command line."""
    if isinstance(error, UsageError):
        return USAGE
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return PIPE_CLOSED
    return next((code for kind, code in _BY_KIND if isinstance(error, kind)), FAILED)


def words(error: BaseException) -> tuple[str, str | None]:
    """What happened and the next step, for people; holds no key."""
    from llama_orch.cli.redact import redact

    if isinstance(error, errors.OrchError):
        return redact(_located(error)), redact(error.hint) if error.hint else None
    if isinstance(error, OSError):
        return redact(_of_system(error)), _mend(error)
    return redact(f"{type(error).__name__}: {error}"), "run it again with ORCH_DEBUG=1, and report the traceback"


def debugging() -> bool:
    """Whether ORCH_DEBUG asks for the traceback."""
    return os.environ.get("ORCH_DEBUG", "") not in {"", "0"}


def _located(error: errors.OrchError) -> str:
    """The message, with the place in the file when the message does not name it, and the request id."""
    text = error.message
    if isinstance(error, errors.ConfigError) and error.file and error.file not in text:
        place = ":".join(str(part) for part in (error.file, error.line, error.column) if part is not None)
        text = f"{place}: {text}"
    if isinstance(error, errors.EngineFailed) and (more := _more(error)):
        text = f"{text}\n\n{more}"
    if isinstance(error, errors.ModelNotFound) and error.near_misses and "did you mean" not in f"{text}{error.hint}":
        text = f"{text}; did you mean '{error.near_misses[0]}'?"
    return f"{text} (request {error.request_id})" if error.request_id else text


def _more(error: errors.EngineFailed) -> str:
    """The last words of the worker, without the lines that say the message again."""
    lines = error.last_words.splitlines()
    return "\n".join(line for line in lines if error.message not in line).strip("\n")


def _of_system(error: OSError) -> str:
    """An operating system error: the words of errno, then the file it is about."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return reason
    other = f" -> {error.filename2}" if error.filename2 is not None else ""
    return f"{reason}: {error.filename}{other}"


def _mend(error: OSError) -> str | None:
    """The next command for the errors of a file system that people meet."""
    import errno
    import shlex

    name = shlex.quote(str(error.filename)) if error.filename is not None else "."
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return f"make room, then run it again: df -h {name if error.filename is not None else ''}".rstrip()
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"look at who may use it: ls -ld {name}"
        case errno.ENOENT | errno.ENOTDIR:
            return f"look at what is there: ls {shlex.quote(os.path.dirname(str(error.filename or '')) or '.')}"  # noqa: PTH120 - pathlib is not worth its import in an error
        case _:
            return "orch doctor"
