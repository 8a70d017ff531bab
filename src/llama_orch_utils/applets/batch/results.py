# SPDX-License-Identifier: Apache-2.0
"""What a batch made, written whole or not at all: a CSV, JSON Lines, or a folder with a file per document."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from llama_orch_utils.applets.batch.rows import Row, Rows, form_of
from llama_orch_utils.applets.cells import cell, line
from llama_orch_utils.errors import AppletError, BadRequest

Json = dict[str, Any]
Result = Callable[[int], Json | None]
_ENDS = {"csv": ".out.csv", "jsonl": ".out.jsonl", "folder": ".out"}
NOT_RUN: Json = {"error": {"code": "not_run", "message": "the batch ended before this row"}}


def output_for(source: Path, wanted: Path | None = None) -> Path:
    """Where a batch's result goes: beside its source unless `wanted`. Raises BadRequest for a place that cannot be."""
    source = source.absolute()
    found = wanted.absolute() if wanted is not None else source.with_name(source.stem + _ENDS[form_of(source)])
    if found.resolve() == source.resolve() or source.resolve() in found.resolve().parents:
        raise BadRequest(f"{found} is the source, or lies in it", param="/output", hint="--output OTHER")
    if not found.parent.is_dir():
        raise BadRequest(f"there is no folder {found.parent}", param="/output", hint=f"mkdir -p {found.parent}")
    return found


def write(rows: Rows, output: Path, names: Sequence[str], result: Result, *, raw: bool = False) -> None:
    """Everything in the order of the rows; `names` are the fields of the output. Raises AppletError.

    What a spreadsheet would run is made a text in a table (`cells`), unless `raw`.
    """
    found = ((row, result(row.number) or NOT_RUN) for row in rows)
    try:
        if output.suffix.lower() in (".csv", ".tsv"):
            with _replacing(output) as file:
                delimiter = "\t" if output.suffix.lower() == ".tsv" else ","
                for cells in _table(rows, names, found):
                    file.write(line((cell(each, raw=raw) for each in cells), delimiter))
        elif output.suffix.lower() in (".jsonl", ".ndjson"):
            with _replacing(output) as file:
                for row, made in found:
                    told = {"row": row.number, "input": dict(row.said), "output": made.get("output")}
                    file.write(json.dumps({**told, "error": made.get("error")}, ensure_ascii=False) + "\n")
        else:
            _folder(output, found)
    except OSError as error:
        raise AppletError(f"cannot write {output}: {error.strerror}", hint="--output OTHER") from error


def _table(rows: Rows, names: Sequence[str], found: Iterator[tuple[Row, Json]]) -> Iterator[list[Any]]:
    """The head, and a line per row."""
    columns = list(rows.columns) if rows.form == "csv" else ["file" if rows.form == "folder" else "row"]
    heads = [f"output_{name}" if name in columns else name for name in names]
    yield [*columns, *heads, "error"]
    for row, made in found:
        said = row.said if rows.form != "jsonl" else {"row": row.number}
        output: Json = made.get("output") or {}
        error = made.get("error")
        words = f"{error['code']}: {error['message']}" if error else ""
        yield [*(said.get(each) for each in columns), *(output.get(each) for each in names), words]


def _folder(output: Path, found: Iterator[tuple[Row, Json]]) -> None:
    output.mkdir(exist_ok=True)
    for row, made in found:
        good = output / f"{row.name}.json"
        bad = output / f"{row.name}.error.json"
        good.parent.mkdir(parents=True, exist_ok=True)
        wanted, other = (bad, good) if made.get("error") else (good, bad)
        with _replacing(wanted) as file:
            file.write(json.dumps(made.get("error") or made.get("output"), ensure_ascii=False, indent=2) + "\n")
        other.unlink(missing_ok=True)


class _replacing:  # noqa: N801 - used like a function
    """A text file that takes its place when it is whole."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> TextIO:
        handle, self._partial = tempfile.mkstemp(dir=self._place.parent, prefix=".orch-")
        os.fchmod(handle, 0o644)
        self._file = io.TextIOWrapper(os.fdopen(handle, "wb"), "utf-8", newline="")
        return self._file

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._file.flush()
            os.fsync(self._file.fileno())
        self._file.close()
        if kind is None:
            Path(self._partial).replace(self._place)
        else:
            Path(self._partial).unlink(missing_ok=True)
