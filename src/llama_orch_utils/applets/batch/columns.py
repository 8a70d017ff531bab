# SPDX-License-Identifier: Apache-2.0
"""Which column of a table is which field of an input: by its own name, else by those that `[batch] columns` gives."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from llama_orch_utils.applets.inputs import InputField
from llama_orch_utils.errors import BadRequest

_NEAR = 0.6


@dataclass(frozen=True, slots=True)
class Columns:
    """`names` are by a field the other names of its column; `more`: other columns are inputs as well."""

    names: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    more: bool = False

    def of(self, name: str, head: Collection[str]) -> str | None:
        """The column of `head` (plain names) that is the field `name`; None: none is."""
        wanted = (name, *map(plain, self.names.get(name, ())))
        return next((each for each in wanted if each in head), None)

    def values(self, said: Mapping[str, Any], fields: Sequence[InputField]) -> dict[str, Any]:
        """What a row said, by the fields of the input; `said` has its own names."""
        by_name = {plain(name): (name, value) for name, value in said.items()}
        found: dict[str, Any] = {}
        for each in fields:
            column = self.of(each.name, by_name)
            if column is not None:
                found[each.name] = by_name.pop(column)[1]
        if self.more:
            known = {each.name for each in fields}
            found |= {name: value for name, value in by_name.values() if name not in known and _is_plain(value)}
        return found

    def check(self, path: Path, head: Sequence[str], fields: Sequence[InputField], given: Collection[str]) -> None:
        """Raises BadRequest for a field that must be given and is neither a column nor in `given`."""
        known = {plain(each): each for each in head}
        taken = {self.of(each.name, known) for each in fields}
        for each in fields:
            if not each.required or each.name in given or self.of(each.name, known) is not None:
                continue
            names = (each.name, *self.names.get(each.name, ()))
            free = [name for name in known if name not in taken]
            near = [known[one] for name in names for one in get_close_matches(plain(name), free, 1, _NEAR)]
            meant = f"; did you mean '{near[0]}'?" if near else ""
            others = f" (nor {', '.join(names[1:])})" if names[1:] else ""
            raise BadRequest(
                f"{path} has no column {each.name}{others}; it has: {', '.join(head)[:200]}{meant}",
                param=f"/{each.name}",
                hint=f"rename a column, or give it for all rows: --{each.name.replace('_', '-')}",
            )


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float))


def plain(column: str) -> str:
    """A column's name as fields are named: `First Name` is `first_name`."""
    return column.strip().casefold().replace(" ", "_").replace("-", "_")
