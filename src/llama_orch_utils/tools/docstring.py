# SPDX-License-Identifier: Apache-2.0
"""What a docstring says of a function and of each argument: Google's, NumPy's and Sphinx's form."""

from __future__ import annotations

import inspect
import re

_GOOGLE = re.compile(r"(Args|Arguments|Parameters|Params):\s*")
_SECTION = re.compile(r"(Returns?|Yields?|Raises|Examples?|Notes?|Warnings?|See Also|Attributes|Todo|References):\s*")
_GOOGLE_ARGUMENT = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_NUMPY_ARGUMENT = re.compile(r"\*{0,2}(\w+)(?:\s*:.*)?")
_SPHINX = re.compile(r"\s*:(?:param|parameter|arg|argument)\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)")
_FIELD = re.compile(r"\s*:(\w+)[^:]*:")


def read(docstring: str | None) -> tuple[str, dict[str, str]]:
    """The description, and what is said of each argument by its name."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    told: list[str] = []
    arguments: dict[str, str] = {}
    at = 0
    while at < len(lines):
        if match := _SPHINX.fullmatch(lines[at]):
            at, arguments[match[1]] = _indented(lines, at + 1, match[2], 1)
        elif _FIELD.match(lines[at]):
            at, _ = _indented(lines, at + 1, "", 1)
        elif _GOOGLE.fullmatch(lines[at]):
            at = _google(lines, at + 1, arguments)
        elif _is_underlined(lines, at):
            at = _numpy(lines, at, arguments)
        elif _SECTION.fullmatch(lines[at]):
            at, _ = _indented(lines, at + 1, "", 1)
        else:
            told.append(lines[at])
            at += 1
    return "\n".join(told).strip(), arguments


def _google(lines: list[str], at: int, arguments: dict[str, str]) -> int:
    depth = _depth(lines[at]) if at < len(lines) else 0
    while at < len(lines) and depth and (not lines[at].strip() or _depth(lines[at]) >= depth):
        match = _GOOGLE_ARGUMENT.fullmatch(lines[at].strip())
        at += 1
        if match:
            at, arguments[match[1]] = _indented(lines, at, match[2], depth + 1)
    return at


def _numpy(lines: list[str], at: int, arguments: dict[str, str]) -> int:
    """A section with an underlined title; only `Parameters` tells of arguments."""
    wanted = lines[at].strip() in ("Parameters", "Other Parameters")
    at += 2
    while at < len(lines) and not _is_underlined(lines, at):
        match = _NUMPY_ARGUMENT.fullmatch(lines[at])
        at += 1
        if match:
            at, text = _indented(lines, at, "", 1)
            if wanted:
                arguments[match[1]] = text
    return at


def _indented(lines: list[str], at: int, text: str, depth: int) -> tuple[int, str]:
    """`text` and the lines from `at` on that are at least `depth` deep, as one line; and where they end."""
    words = [text.strip()]
    while at < len(lines) and ((lines[at].strip() and _depth(lines[at]) >= depth) or _goes_on(lines, at, depth)):
        words.append(lines[at].strip())
        at += 1
    return at, " ".join(word for word in words if word)


def _goes_on(lines: list[str], at: int, depth: int) -> bool:
    """Whether an empty line stands before more of the same."""
    rest = next((line for line in lines[at:] if line.strip()), "")
    return not lines[at].strip() and _depth(rest) >= depth and bool(rest)


def _is_underlined(lines: list[str], at: int) -> bool:
    below = lines[at + 1].strip() if at + 1 < len(lines) else ""
    return bool(lines[at].strip()) and len(below) >= 3 and set(below) == {"-"}  # noqa: PLR2004 - numpydoc's underline


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
