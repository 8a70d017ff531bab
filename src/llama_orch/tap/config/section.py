# SPDX-License-Identifier: GPL-3.0-or-later
"""One table of a TOML file, read value by value; whatever is wrong is a ConfigError with file, line and key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast, overload

from llama_orch.tap.config import amount
from llama_orch.tap.config.place import Source
from llama_orch_utils.config.document import Table
from llama_orch_utils.errors import ConfigError

Number = TypeVar("Number", int, float)


class Section:
    """The table at `keys`. Each method takes one key; `done` complains of those that nobody took.

    A key that is missing gives `default`. Raises ConfigError.
    """

    def __init__(self, source: Source, table: Table, keys: tuple[str, ...] = ()) -> None:
        self._source, self._table, self._keys = source, table, keys
        self._taken: list[str] = []

    def has(self, key: str) -> bool:
        """Whether it says anything of `key`."""
        return key in self._table

    def text(self, key: str, default: str | None = None) -> str | None:
        """A text that is not empty."""
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, "must be a text", value)
        return value

    def word(self, key: str, words: Sequence[str], default: str) -> str:
        """One of `words`."""
        value = self._take(key)
        if value is None:
            return default
        if isinstance(value, str) and value in words:
            return value
        raise self.wrong(key, f"must be one of {', '.join(words)}", value)

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, "must be true or false", value)
        return value

    @overload
    def count(self, key: str, default: int, least: int = ..., most: int | None = ...) -> int: ...
    @overload
    def count(self, key: str, default: None, least: int = ..., most: int | None = ...) -> int | None: ...
    def count(self, key: str, default: int | None, least: int = 0, most: int | None = None) -> int | None:
        """A whole number from `least` to `most`."""
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < least or (most and value > most):
            upper = f" to {most}" if most else ", or more"
            raise self.wrong(key, f"must be a whole number, {least}{upper}", value)
        return value

    @overload
    def size(self, key: str, default: int) -> int: ...
    @overload
    def size(self, key: str, default: None) -> int | None: ...
    def size(self, key: str, default: int | None) -> int | None:
        """Bytes: a number, or `16M` (powers of 1024)."""
        value = self._take(key)
        if value is None:
            return default
        return self._read(key, amount.size, value)

    def seconds(self, key: str, default: float) -> float:
        """Seconds: a number, or `90s`, `5m`, `1h`; `never` is -1 where the default is negative."""
        value = self._take(key)
        if value is None:
            return default
        if value == "never" and default < 0:
            return -1.0
        from llama_orch_utils.config.settings import read_duration

        return self._read(key, read_duration, value)

    def ratio(self, key: str, default: float, most: float) -> float:
        """A number from 0 to `most`."""
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= most:
            raise self.wrong(key, f"must be a number from 0 to {most}", value)
        return float(value)

    def euros(self, key: str, default: int) -> int:
        """Euros, as micro-euros."""
        value = self._take(key)
        return default if value is None else self._read(key, amount.micro_euros, value)

    def many_euros(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """A list of euros, as micro-euros, highest first."""
        value = self._take(key)
        if value is None:
            return default
        each = self._list(key, value, "must be a list of euros")
        return tuple(sorted({self._read(key, amount.micro_euros, one) for one in each}, reverse=True))

    def counts(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """A list of whole numbers, highest first."""
        value = self._take(key)
        if value is None:
            return default
        each = self._list(key, value, "must be a list of whole numbers")
        if not all(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in each):
            raise self.wrong(key, "must be a list of whole numbers", value)
        return tuple(sorted(set(cast("list[int]", each)), reverse=True))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self._take(key)
        if value is None:
            return ()
        each = self._list(key, value, "must be a list of texts")
        if not all(isinstance(one, str) and one for one in each):
            raise self.wrong(key, "must be a list of texts", value)
        return tuple(cast("list[str]", each))

    def file(self, key: str, folder: Path) -> Path | None:
        """A path, read from `folder`."""
        value = self.text(key)
        return None if value is None else folder / Path(value).expanduser()

    def section(self, key: str) -> Section:
        """The table below `key`; an empty one where it is missing."""
        value = self._take(key)
        if value is None:
            return Section(self._source, {}, (*self._keys, key))
        if not isinstance(value, dict):
            raise self.wrong(key, f"must be a table: [{'.'.join((*self._keys, key))}]", value)
        return Section(self._source, cast("Table", value), (*self._keys, key))

    def sections(self, key: str) -> list[tuple[str, Section]]:
        """The tables below `key`, by name."""
        inner = self.section(key)
        return [(name, inner.section(name)) for name in inner._table]  # noqa: SLF001 - of its own class

    def done(self) -> None:
        """Complains of a key that nobody took."""
        for key in self._table:
            if key not in self._taken:
                raise self._unknown(key)

    def wrong(self, key: str, must: str, value: object = None, hint: str | None = None) -> ConfigError:
        """The error for the value of `key`; what the value is, is said where it is short."""
        name = ".".join((*self._keys, key))
        given = "" if value is None or len(str(value)) > 60 else f", not {_shown(value)}"  # noqa: PLR2004
        path, line = self._source.path, self._source.line((*self._keys, key))
        place = f"{path}, line {line}" if line else f"{path}"
        return ConfigError(
            f"{place}: {name} {must}{given}",
            file=str(path),
            line=line,
            key=name,
            hint=hint or f"mend {f'line {line}' if line else name} of {path}",
        )

    def _unknown(self, key: str) -> ConfigError:
        import difflib

        near = difflib.get_close_matches(key, self._taken, 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        return self.wrong(key, f"is no setting of a tap{meant}")

    def _take(self, key: str) -> Any:
        self._taken.append(key)
        return self._table.get(key)

    def _list(self, key: str, value: object, must: str) -> list[object]:
        if not isinstance(value, list):
            raise self.wrong(key, must, value)
        return cast("list[object]", value)

    def _read(self, key: str, reader: Callable[[object], Number], value: object) -> Number:
        try:
            return reader(value)
        except ValueError as error:
            raise self.wrong(key, f"must be {error}", value) from error


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
