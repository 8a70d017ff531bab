# SPDX-License-Identifier: Apache-2.0
"""CSV (RFC 4180): each row as `column: value` lines, with the line of the file where it begins."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from llama_orch_utils.documents.document import Document, Place, joined
from llama_orch_utils.documents.plain import decoded
from llama_orch_utils.errors import BadRequest

_SEPARATORS = ",;\t|"


def read(name: str, kind: str, data: bytes) -> Document:
    """One piece of text per row; the first row names the columns."""
    return joined(name, kind, ((_written(row), Place("line", line)) for line, row in rows(name, decoded(name, data))))


def rows(name: str, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row under its columns' names, with its line. Raises BadRequest with the line for one of another width."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
    begins = 1
    columns: list[str] | None = None
    try:
        for cells in lines:
            line, begins = begins, lines.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                columns = _columns(name, cells)
            elif len(cells) != len(columns):
                raise BadRequest(
                    f"{name}, line {line}: {len(cells)} cells under {len(columns)} columns", hint="mend that line"
                )
            else:
                yield line, dict(zip(columns, cells, strict=True))
    except csv.Error as error:
        raise BadRequest(f"{name}, line {begins}: {error}", hint="mend that line") from error


def _columns(name: str, cells: list[str]) -> list[str]:
    columns = [cell.strip() for cell in cells]
    if not all(columns) or len(set(columns)) != len(columns):
        raise BadRequest(f"{name}: its first line must name each column once", hint="give each column a name")
    return columns


def _separator(text: str) -> str:
    first = text.partition("\n")[0]
    return max(_SEPARATORS, key=first.count)


def _written(row: dict[str, str]) -> str:
    return "\n".join(f"{name}: {' '.join(value.split())}" for name, value in row.items() if value.strip())
