# SPDX-License-Identifier: Apache-2.0
"""A TOML file: read with line and column in its errors, changed line by line so that comments stay."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, cast

from llama_orch_utils.errors import ConfigError

Table = dict[str, Any]
_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)|\(at end of document\)")
# A configuration of 1 MB is a mistake (a model, a log), and tomllib is slow on hostile input.
MOST_BYTES = 1_000_000


def read(path: Path) -> tuple[str, Table]:
    """The text of the file and its tables; two empty ones if there is no file.

    Raises ConfigError with file, line and column where it does not parse.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return "", {}
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror or error}", file=str(path), hint=f"check the permissions of {path}"
        ) from error
    if len(content) > MOST_BYTES:
        raise ConfigError(
            f"{path} is larger than 1 MB: this is no configuration", file=str(path), hint=f"look at {path}"
        )
    text = _decode(path, content)
    return text, parse(text, path)


def parse(text: str, path: Path) -> Table:
    """The tables of TOML `text`; ConfigError that names `path`, line and column."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, column = _place(str(error), text)
        words = _PLACE.sub("", str(error)).strip()
        raise ConfigError(
            f"{path}, line {line}, column {column}: {words}",
            file=str(path),
            line=line,
            column=column,
            hint=f"mend line {line} of {path}",
        ) from error
    except RecursionError as error:
        raise ConfigError(f"{path} is nested too deeply", file=str(path), hint=f"look at {path}") from error


def line_of(text: str, keys: tuple[str, ...]) -> int | None:
    """The line (from 1) that gives `keys` a value, or None if no single line does."""
    for number, path in enumerate(_line_keys(text.splitlines()), start=1):
        if path == keys:
            return number
    return None


def change(path: Path, text: str, keys: tuple[str, ...], value: Any) -> str:
    """`text` with `keys` set to `value` (None: removed), every other line as it was.

    Raises ConfigError if the file is written in a way that a change of one line cannot express.
    """
    lines = text.splitlines()
    where = line_of(text, keys)
    if where is not None:
        lines[where - 1 : where] = [] if value is None else [_assignment(lines[where - 1], value)]
        if value is None:
            _drop_empty_header(lines, keys[:-1])
    elif value is not None:
        _insert(lines, keys, value)
    changed = "\n".join(lines) + "\n" if lines else ""
    wanted = _with(tomllib.loads(text), keys, value)
    try:
        found = tomllib.loads(changed)
    except tomllib.TOMLDecodeError:
        found = None
    if found is None or _pruned(found) != _pruned(wanted):
        name = ".".join(keys)
        raise ConfigError(
            f"{path} is written in a way that {name} cannot be changed from here",
            file=str(path),
            key=name,
            hint=f"change {name} in {path} by hand",
        )
    return changed


def _decode(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise ConfigError(
            f"{path}, line {line}, column {column}: not UTF-8",
            file=str(path),
            line=line,
            column=column,
            hint=f"save {path} as UTF-8",
        ) from error


def _place(message: str, text: str) -> tuple[int, int]:
    found = _PLACE.search(message)
    if found is not None and found[1]:
        return int(found[1]), int(found[2])
    return max(text.count("\n"), 0) + 1, len(text) - (text.rfind("\n") + 1) + 1


def _line_keys(lines: list[str]) -> list[tuple[str, ...] | None]:
    """For each line, the full key that it alone gives a value to."""
    table: tuple[str, ...] | None = ()
    keys: list[tuple[str, ...] | None] = []
    for line in lines:
        keys.append(None)
        alone = _alone(line)
        if alone is None:
            continue
        if line.lstrip().startswith("["):
            table = None if line.lstrip().startswith("[[") else _only_path(alone)
        elif alone and table is not None:
            keys[-1] = (*table, *_only_path(alone))
    return keys


def _alone(line: str) -> Table | None:
    try:
        return tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None


def _only_path(table: Table) -> tuple[str, ...]:
    path: list[str] = []
    here: Any = table
    while isinstance(here, dict) and len(cast("Table", here)) == 1:
        key, here = next(iter(cast("Table", here).items()))
        path.append(key)
    return tuple(path)


def _assignment(old: str, value: object) -> str:
    """The line `old` with another value; its indent, its spelling of the key and its comment stay."""
    left = old[: old.index("=") + 1]
    comment = ""
    for at in [found.start() for found in re.finditer("#", old)]:
        # Only a comment can be cut off without a change of the value.
        if _alone(old[:at]) == _alone(old) and _alone(old[:at]) is not None:
            comment = "  " + old[at:]
            break
    return f"{left} {_literal(value)}{comment}"


def _literal(value: object) -> str:
    import tomli_w

    return tomli_w.dumps({"key": value}).removeprefix("key = ").rstrip("\n")


def _insert(lines: list[str], keys: tuple[str, ...], value: object) -> None:
    import tomli_w

    table, key = keys[:-1], keys[-1]
    line = tomli_w.dumps({key: value}).rstrip("\n")
    first = _first_header(lines)
    if not table:
        at = first
        while at and not lines[at - 1].strip():
            at -= 1
        lines.insert(at, line)
        return
    where = _header(lines, table)
    if where is not None:
        lines.insert(where + 1, line)
        return
    header = tomli_w.dumps(_with({}, keys, value)).splitlines()
    lines.extend(["", *header] if lines and lines[-1].strip() else header)


def _header(lines: list[str], table: tuple[str, ...]) -> int | None:
    """The index of the line `[table]`."""
    for number, text in enumerate(lines):
        if text.lstrip().startswith("[") and not text.lstrip().startswith("[["):
            alone = _alone(text)
            if alone is not None and _only_path(alone) == table:
                return number
    return None


def _drop_empty_header(lines: list[str], table: tuple[str, ...]) -> None:
    where = _header(lines, table) if table else None
    if where is None:
        return
    here: Any = tomllib.loads("\n".join(lines))
    for key in table:
        here = here[key]
    if not here:
        del lines[where]


def _first_header(lines: list[str]) -> int:
    for number, text in enumerate(lines):
        if text.lstrip().startswith("[") and _alone(text) is not None:
            return number
    return len(lines)


def _with(table: Table, keys: tuple[str, ...], value: object) -> Table:
    """A copy of `table` with `keys` set (None: removed)."""
    copy = dict(table)
    if len(keys) == 1:
        copy.pop(keys[0], None)
        if value is not None:
            copy[keys[0]] = value
        return copy
    inner = copy.get(keys[0])
    copy[keys[0]] = _with(cast("Table", inner) if isinstance(inner, dict) else {}, keys[1:], value)
    return copy


def _pruned(table: Table) -> Table:
    """Without empty tables: a header that nothing is left under says nothing."""
    kept: Table = {}
    for key, value in table.items():
        if not isinstance(value, dict):
            kept[key] = value
        elif inner := _pruned(cast("Table", value)):
            kept[key] = inner
    return kept
