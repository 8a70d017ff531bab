# SPDX-License-Identifier: Apache-2.0
"""`applet.toml`: what an applet is, and what it may touch. Whatever is not known is refused, with its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from llama_orch_utils.errors import AppletError

API_VERSION = 1
FILE = "applet.toml"
CAPABILITIES = ("chat", "schema", "tools", "vision", "embedding", "rerank", "reasoning")
_ID = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_WORD = re.compile(r"[a-z][a-z0-9_]*")
_VERSION = re.compile(r"\d+(?:\.\d+){0,3}(?:[a-z]+\d*)?")
_SHAPE: dict[str, dict[str, type | tuple[type, ...]]] = {
    "": {"id": str, "version": str, "summary": str, "licence": str, "api": int},
    "permissions": {"files": dict, "network": list},
    "permissions.files": {"read": list, "write": list},
    "needs": {"capabilities": list, "context": int},
    "cost": {"most": str},
    "brand": {"slots": list},
    "batch": {"columns": dict},
    "batch.columns": {},
    "prompts": {},
}
_REQUIRED = ("id", "version", "summary", "licence", "api")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One applet on paper.

    `reads` and `writes` name folders that a run maps to real ones (`inputs`, `outputs`); `network` holds `target` or
    nothing. `capabilities` and `context` (tokens) are what the target's model must have. `most_cost` is micro-euros of
    one run (None: no cap of its own). `brand_slots` are the texts that a client's brand may fill, `prompts` by a
    prompt's name the placeholders that it may have besides the input's fields. `batch_columns` are, by a field of the
    input, the other names that its column may have in a table.
    """

    id: str
    version: str
    summary: str
    licence: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    network: tuple[str, ...] = ("target",)
    capabilities: tuple[str, ...] = ("chat",)
    context: int | None = None
    most_cost: int | None = None
    brand_slots: tuple[str, ...] = ()
    prompts: Mapping[str, tuple[str, ...]] | None = None
    batch_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


def parse(text: str, where: str = FILE) -> Manifest:
    """The manifest in `text`; `where` is what errors call it. Raises AppletError with the line and the key."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AppletError(f"{where} is no TOML: {error}", hint="mend that line") from error
    reader = _Reader(text, where)
    reader.check(raw, "")
    for name in _REQUIRED:
        if name not in raw:
            raise AppletError(f"{where} lacks {name}", hint=f'add a line: {name} = "…"')
    return _manifest(raw, reader)


def _manifest(raw: dict[str, Any], reader: _Reader) -> Manifest:
    permissions, needs = raw.get("permissions", {}), raw.get("needs", {})
    files = permissions.get("files", {})
    if raw["api"] != API_VERSION:
        raise AppletError(
            f"{reader.where} is for version {raw['api']} of the applet API, this is {API_VERSION}",
            hint="pip install --upgrade llama-orch-utils",
        )
    prompts = {name: reader.words(each, f"prompts.{name}", _WORD) for name, each in raw.get("prompts", {}).items()}
    return Manifest(
        id=reader.text(raw["id"], "id", _ID),
        version=reader.text(raw["version"], "version", _VERSION),
        summary=reader.text(raw["summary"], "summary"),
        licence=reader.text(raw["licence"], "licence"),
        reads=reader.words(files.get("read", []), "permissions.files.read", _WORD),
        writes=reader.words(files.get("write", []), "permissions.files.write", _WORD),
        network=reader.choices(permissions.get("network", ["target"]), "permissions.network", ("target",)),
        capabilities=reader.choices(needs.get("capabilities", ["chat"]), "needs.capabilities", CAPABILITIES),
        context=needs.get("context"),
        most_cost=_cost(raw.get("cost", {}).get("most"), reader),
        brand_slots=reader.words(raw.get("brand", {}).get("slots", []), "brand.slots", _WORD),
        prompts=prompts,
        batch_columns=reader.columns(raw.get("batch", {}).get("columns", {})),
    )


def _cost(text: str | None, reader: _Reader) -> int | None:
    from llama_orch_utils.errors import BadRequest
    from llama_orch_utils.money import micro_euros

    if text is None:
        return None
    try:
        return micro_euros(text)
    except BadRequest as error:
        raise reader.wrong("cost.most", 'is no amount of money, such as "0.05 EUR"') from error


class _Reader:
    """Says in which line of which file something is wrong."""

    def __init__(self, text: str, where: str) -> None:
        self._lines, self.where = text.splitlines(), where

    def check(self, raw: Mapping[str, Any], table: str) -> None:
        """Raises for a key that nobody knows, and for a value of the wrong kind."""
        known = _SHAPE[table]
        for name, value in raw.items():
            path = f"{table}.{name}".strip(".")
            if isinstance(value, dict) and path in _SHAPE:
                self.check(cast("dict[str, Any]", value), path)
            elif table == "batch.columns":
                if not isinstance(value, (str, list)):
                    raise self.wrong(path, "must be a column's name, or a list of names")
            elif table == "prompts":
                if not isinstance(value, list):
                    raise self.wrong(path, "must be a list of placeholders")
            elif name not in known:
                kind = "permission" if table.startswith("permissions") else "field"
                raise self.wrong(path, f"is a {kind} that nobody knows; there are: {', '.join(self._names(table))}")
            elif not isinstance(value, known[name]) or isinstance(value, bool):
                raise self.wrong(path, "has a value of the wrong kind")

    def text(self, value: str, path: str, form: re.Pattern[str] | None = None) -> str:
        """A text that is not empty and of the right form."""
        if not value.strip() or (form is not None and not form.fullmatch(value)):
            raise self.wrong(path, f"cannot be {value!r}")
        return value

    def words(self, values: list[Any], path: str, form: re.Pattern[str]) -> tuple[str, ...]:
        """A list of plain words."""
        for value in values:
            if not isinstance(value, str) or not form.fullmatch(value):
                raise self.wrong(path, f"cannot hold {value!r}")
        return tuple(values)

    def columns(self, raw: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        """Names of columns by field: each a text that is not empty, and of one field only."""
        found: dict[str, tuple[str, ...]] = {}
        seen: dict[str, str] = {}
        for name, value in raw.items():
            names: list[Any] = [value] if isinstance(value, str) else value
            for each in names:
                if not isinstance(each, str) or not each.strip():
                    raise self.wrong(f"batch.columns.{name}", f"cannot hold {each!r}")
                other = seen.setdefault(each.strip().casefold(), name)
                if other != name:
                    raise self.wrong(f"batch.columns.{name}", f"holds {each!r}, which is {other} already")
            found[name] = tuple(names)
        return found

    def choices(self, values: list[Any], path: str, known: tuple[str, ...]) -> tuple[str, ...]:
        """A list of known words."""
        for value in values:
            if value not in known:
                raise self.wrong(path, f"cannot hold {value!r}; there are: {', '.join(known)}")
        return tuple(values)

    def wrong(self, path: str, words: str) -> AppletError:
        """The error for the value at `path`."""
        return AppletError(f"{self.where}, line {self._line(path)}: {path} {words}", hint=f"mend it in {self.where}")

    def _names(self, table: str) -> list[str]:
        inner = {path.rpartition(".")[2] for path in _SHAPE if path and path.rpartition(".")[0] == table}
        return sorted({*_SHAPE[table], *inner})

    def _line(self, path: str) -> int:
        name = path.rpartition(".")[2]
        form = re.compile(
            rf"""\s*(\[.*\b{re.escape(name)}\]|["']?{re.escape(name)}["']?\s*=|.*[{{,.]\s*{re.escape(name)}\s*=)"""
        )
        return next((number for number, line in enumerate(self._lines, 1) if form.match(line)), 1)
