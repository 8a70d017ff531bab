# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the fields of a JSON object by name, type and range; every complaint names the field's JSON pointer."""

from __future__ import annotations

from collections.abc import Iterable

from llama_orch.wire.json_body import Json, pointer
from llama_orch_utils.errors import BadRequest, UnsupportedByTarget


class Fields:
    """An object's fields. What was never asked for is left over: `refuse_rest` complains about it. null is absent."""

    def __init__(self, members: dict[str, Json], where: str = "") -> None:
        self._members = members
        self.where = where
        self._left = dict.fromkeys(name for name, value in members.items() if value is not None)
        self._asked: list[str] = []

    def at(self, name: str) -> str:
        """The JSON pointer of field `name`."""
        return pointer(self.where, name)

    def take(self, name: str) -> Json:
        """The field's value as it is; None when absent."""
        self._asked.append(name)
        self._left.pop(name, None)
        return self._members.get(name)

    def text(self, name: str, *, longest: int | None = None) -> str | None:
        """A string of at most `longest` characters."""
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self._wrong(name, "a string", value)
        if longest is not None and len(value) > longest:
            raise BadRequest(f"{name} is longer than {longest} characters", param=self.at(name))
        return value

    def flag(self, name: str) -> bool | None:
        """A boolean."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def integer(self, name: str, low: int, high: int) -> int | None:
        """A whole number within the bounds, both included."""
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(name, "a whole number", value)
        if not low <= value <= high:
            raise BadRequest(f"{name} must be between {low} and {high}", param=self.at(name))
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number within the bounds, both included."""
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, "a number", value)
        if not low <= value <= high:
            raise BadRequest(f"{name} must be between {low:g} and {high:g}", param=self.at(name))
        return float(value)

    def object(self, name: str) -> Fields | None:
        """A nested object."""
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self._wrong(name, "an object", value)
        return Fields(value, self.at(name))

    def members(self) -> dict[str, Json]:
        """The object itself."""
        return self._members

    def array(self, name: str, *, most: int) -> list[Json] | None:
        """A list of at most `most` items."""
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self._wrong(name, "a list", value)
        if len(value) > most:
            raise BadRequest(f"{name} has {len(value)} items; {most} are the most", param=self.at(name))
        return value

    def ignore(self, names: Iterable[str]) -> None:
        """Fields that do not change the answer."""
        for name in names:
            self._left.pop(name, None)

    def refuse_rest(self) -> None:
        """Raises UnsupportedByTarget for the first field that nobody asked for: nothing is dropped in silence."""
        for name in self._left:
            raise unsupported(name[:64], self.at(name), near=_nearest(name, self._asked))

    def _wrong(self, name: str, wanted: str, value: Json) -> BadRequest:
        return BadRequest(f"{name} must be {wanted}, not {kind(value)}", param=self.at(name))


def kind(value: Json) -> str:
    """The JSON type of a value, in words."""
    if isinstance(value, bool):
        return "true or false"
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "a string" if isinstance(value, str) else "a number"


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """The field that was meant, where the name looks like a slip."""
    import difflib

    return next(iter(difflib.get_close_matches(name[:64], {*known}, n=1, cutoff=0.75)), None)


def unsupported(capability: str, where: str, hint: str | None = None, near: str | None = None) -> UnsupportedByTarget:
    """The error for what this server does not serve; `where` is the JSON pointer, `near` a name that is served."""
    return UnsupportedByTarget(
        f"{capability} is not supported here" + (f"; did you mean {near}?" if near else ""),
        capability=capability,
        param=where,
        hint=hint or f"leave {where} out",
    )
