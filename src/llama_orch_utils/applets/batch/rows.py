# SPDX-License-Identifier: Apache-2.0
"""The rows of a batch, read one by one: a broken one is a row with an error, and the rest goes on."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from llama_orch_utils.applets.batch.columns import Columns, plain
from llama_orch_utils.applets.files import Files
from llama_orch_utils.applets.inputs import InputField
from llama_orch_utils.errors import BadRequest, OrchError

Form = Literal["csv", "jsonl", "folder"]
SUFFIXES: dict[str, Form] = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_DELIMITERS = ",;\t|"
_BLOCK = 1 << 20
_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Row:
    """One: its number (from 1), what to call it, what it said, the input made of it, or the error that it is."""

    number: int
    name: str
    said: Mapping[str, Any]
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    error: OrchError | None = None


class Rows:
    """The rows of `path` for these fields; `given` are the values that all of them share.

    Raises BadRequest for a file that is none of the three forms, empty, of another encoding, or without a column that
    the applet needs.
    """

    def __init__(
        self,
        path: Path,
        fields: Sequence[InputField],
        given: Mapping[str, Any] | None = None,
        columns: Columns | None = None,
    ) -> None:
        self.path, self._fields, self._given = path, tuple(fields), dict(given or {})
        self._columns = columns or Columns()
        self.form: Form = form_of(path)
        if not path.exists():
            raise BadRequest(f"there is no {path}", param="/source", hint=f"ls -d {path.parent}")
        self.columns: tuple[str, ...] = ()
        self._files: tuple[Path, ...] = ()
        self._encoding, self._delimiter = "utf-8-sig", ","
        if self.form == "folder":
            self._files = tuple(Files([path]).documents())
        else:
            self._encoding = _checked(path)
        if self.form == "csv":
            self._head()
        self.total = len(self._files) if self.form == "folder" else sum(1 for _ in self._plain())
        if not self.total:
            raise BadRequest(f"{path} holds no rows", param="/source", hint="give a file with at least one")

    def __iter__(self) -> Iterator[Row]:
        for number, said in enumerate(self._plain(), 1):
            yield self._row(number, said)

    @property
    def digest(self) -> str:
        """What tells this source from another, and from itself after a change."""
        found = hashlib.sha256(json.dumps(self._given, sort_keys=True, default=str).encode())
        if self.form == "folder":
            for each in self._files:
                found.update(f"{each.relative_to(self.path.resolve())}\0{each.stat().st_size}\0".encode())
                found.update(hashlib.sha256(each.read_bytes()).digest())
        else:
            with self.path.open("rb") as file:
                while block := file.read(_BLOCK):
                    found.update(block)
        return found.hexdigest()

    def _plain(self) -> Iterator[Any]:
        match self.form:
            case "csv":
                yield from self._cells()
            case "jsonl":
                with self.path.open(encoding=self._encoding, newline="\n") as file:
                    yield from (line for line in file if line.strip())
            case "folder":
                yield from self._files

    def _head(self) -> None:
        with self.path.open(encoding=self._encoding, newline="") as file:
            first = file.readline()
            self._delimiter = max(_DELIMITERS, key=first.count)
            file.seek(0)
            try:
                head: list[str] = next(csv.reader(file, delimiter=self._delimiter, strict=True), list[str]())
            except csv.Error as error:
                raise BadRequest(f"{self.path}, line 1: {error}", param="/source", hint="mend the head") from error
        self.columns = tuple(head)
        if len({plain(each) for each in head}) != len(head):
            raise BadRequest(f"{self.path} has a column twice", param="/source", hint="name each column once")
        self._columns.check(self.path, head, self._fields, self._given)

    def _cells(self) -> Iterator[list[str] | str]:
        """Each row's cells; words for a row that is none."""
        with self.path.open(encoding=self._encoding, newline="") as file:
            reader = csv.reader(file, delimiter=self._delimiter, strict=True)
            next(reader, None)
            while True:
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield f"line {reader.line_num}: {error}"
                    continue
                if cells:
                    yield cells

    def _row(self, number: int, said: Any) -> Row:
        try:
            if self.form == "folder":
                return self._document(number, said)
            found = self._table(said) if self.form == "csv" else self._object(said)
        except (ValueError, OrchError) as error:
            told = error if isinstance(error, OrchError) else BadRequest(str(error), code="broken_row")
            name = said.name if isinstance(said, Path) else str(number)
            raw = {"row": said.strip()} if isinstance(said, str) else _named(self.columns, said)
            return Row(number, name, raw, error=told)
        return Row(number, str(number), found[0], {**self._given, **found[1]})

    def _table(self, cells: list[str] | str) -> tuple[dict[str, Any], dict[str, Any]]:
        if isinstance(cells, str):
            raise ValueError(cells)  # noqa: TRY004 - it is the row that is wrong, not its type
        if len(cells) != len(self.columns):
            raise ValueError(f"it has {len(cells)} cells, and the head has {len(self.columns)}")
        said = dict(zip(self.columns, cells, strict=True))
        values = self._columns.values(said, self._fields)
        for each in self._fields:
            if each.name in values:
                try:
                    value = each.of_cell(values.pop(each.name))
                except ValueError as error:
                    raise ValueError(f"column {each.name} needs JSON: {error}") from error
                if value is not None:
                    values[each.name] = value
        return said, values

    def _object(self, line: str) -> tuple[dict[str, Any], dict[str, Any]]:
        found = json.loads(line)
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY004 - as above
        said = cast("dict[str, Any]", found)
        return said, self._columns.values(said, self._fields)

    def _document(self, number: int, path: Path) -> Row:
        name = str(path.relative_to(self.path.resolve()))
        for each in self._fields:
            if each.kind == "document":
                from llama_orch_utils.documents import read

                text = read(name, Files([self.path]).read(path)).text
                return Row(number, name, {"file": name}, {**self._given, each.name: text})
        for each in self._fields:
            if each.kind == "path" and each.name not in self._given:
                return Row(number, name, {"file": name}, {**self._given, each.name: str(path)})
        raise BadRequest("the applet reads no documents", param="/source", hint="give a CSV or JSONL file")


def form_of(path: Path) -> Form:
    """The form of a file or folder by its name. Raises BadRequest for another."""
    if path.is_dir():
        return "folder"
    found = SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise BadRequest(
            f"{path} is no batch: it ends in none of {', '.join(SUFFIXES)}, and is no folder",
            param="/source",
            hint="give a CSV file with a head, a JSONL file, or a folder of documents",
        )
    return found


def _checked(path: Path) -> str:
    """The encoding of a file. Raises BadRequest for an empty one, and for what is no text."""
    import codecs

    try:
        with path.open("rb") as file:
            start = file.read(2)
            encoding = "utf-16" if start in _MARKS else "utf-8-sig"
            decoder = codecs.getincrementaldecoder(encoding)()
            file.seek(0)
            line = 1
            while block := file.read(_BLOCK):
                try:
                    line += decoder.decode(block).count("\n")
                except UnicodeDecodeError as error:
                    line += block[: error.start].count(b"\n")
                    raise BadRequest(
                        f"{path} is not UTF-8 (line {line})",
                        param="/source",
                        hint=f"iconv -f WINDOWS-1252 -t UTF-8 {path} > utf8{path.suffix}",
                    ) from error
    except OSError as error:
        raise BadRequest(f"cannot read {path}: {error.strerror}", param="/source", hint=f"ls -l {path}") from error
    if not start:
        raise BadRequest(f"{path} is empty", param="/source", hint="give a file with at least one row")
    return encoding


def _named(columns: Sequence[str], cells: Any) -> dict[str, Any]:
    if isinstance(cells, Path):
        return {"file": cells.name}
    return dict(zip(columns, cells, strict=False))
