# SPDX-License-Identifier: Apache-2.0
"""A table of what documents say."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from pydantic import BaseModel, Field

from llama_orch_applet_extract.columns import Schema, columns_of, shape_of, wanted
from llama_orch_utils.applets import Context, Document, applet
from llama_orch_utils.applets.cells import safe
from llama_orch_utils.chunking import Passage, answer_tokens, fitting
from llama_orch_utils.documents.source import Source, gather
from llama_orch_utils.grounding import stands

Cell = str | int | float | bool | None
_ANSWER_TOKENS = 1500
_RULES = {
    True: "One row for each thing of that kind in the document; no row where there is none.",
    False: "Exactly one row.",
}


class Job(BaseModel):
    """Which documents, and which columns."""

    text: Document = Field("", description="one document, as text")
    documents: Path | None = Field(None, description="a document or a folder of them")
    sources: list[Source] = Field([], description="documents as texts")
    columns: str = Field(min_length=1, description="such as 'name, total number, due: a date', or a JSON Schema")
    many: bool = Field(False, description="a document may hold several rows")
    raw: bool = Field(False, description="cells as they are, also what a spreadsheet would run")


class Row(BaseModel):
    """A row, and the document that it is from; `unproven` are its cells that do not stand there as they are."""

    source: str
    place: str
    cells: dict[str, Cell]
    unproven: list[str] = []


class Table(BaseModel):
    """The table."""

    columns: list[str]
    rows: list[Row]
    csv: str = Field(description="RFC 4180, with the column source")

    def __str__(self) -> str:
        """As CSV."""
        return self.csv


@applet(__package__)
def extract(job: Job, context: Context) -> Table:
    """Asks each document, part by part, for its rows."""
    columns = columns_of(job.columns)
    shape = shape_of(columns)
    documents = gather(context.files, job.documents, job.sources, job.text)
    frame = _prompt(job, columns, "", context)
    tokens = answer_tokens(context.client, _ANSWER_TOKENS)
    rows: list[Row] = []
    for at, document in enumerate(documents):
        context.progress(at, len(documents), document.name)
        found = [
            row
            for part in fitting(document, context.client, frame, tokens)
            for row in _rows(part, job, columns, shape, context)
        ]
        rows += found if job.many else _one(found, list(columns))
    return Table(columns=list(columns), rows=rows, csv=_csv(list(columns), rows, raw=job.raw))


def _rows(part: Passage, job: Job, columns: dict[str, Schema], shape: type[BaseModel], context: Context) -> list[Row]:
    prompt = _prompt(job, columns, part.text, context)
    tokens = answer_tokens(context.client, _ANSWER_TOKENS)
    answer = context.client.parse(prompt, shape, repairs=1, max_tokens=tokens, temperature=0.0)
    found: list[Row] = []
    for cells in answer.model_dump(by_alias=True)["rows"]:
        if any(value is not None for value in cells.values()):
            unproven = [name for name, value in cells.items() if not _shown(value, columns[name], part)]
            found.append(Row(source=part.source, place=str(part.place), cells=cells, unproven=unproven))
    return found


def _one(found: list[Row], columns: list[str]) -> list[Row]:
    """The rows of one document's parts as one: the first part that says it counts."""
    if not found:
        return []
    cells: dict[str, Cell] = {}
    unproven: list[str] = []
    for name in columns:
        holder = next((row for row in found if row.cells[name] is not None), found[0])
        cells[name] = holder.cells[name]
        unproven += [name] if name in holder.unproven else []
    return [Row(source=found[0].source, place=found[0].place, cells=cells, unproven=unproven)]


def _prompt(job: Job, columns: dict[str, Schema], part: str, context: Context) -> str:
    return context.prompt("extract", part=part, wanted=wanted(columns), rows_rule=_RULES[job.many])


def _shown(value: Cell, column: Schema, part: Passage) -> bool:
    """Whether the document holds the cell's value; judgements (yes or no, one of several words) it need not."""
    if value is None or isinstance(value, bool) or "enum" in column:
        return True
    return stands(value, part.text)


def _csv(columns: list[str], rows: list[Row], *, raw: bool) -> str:
    buffer = io.StringIO(newline="")
    lines = csv.writer(buffer)
    head = [*columns, "source" if "source" not in columns else "source document"]
    for cells in (head, *([*(row.cells[name] for name in columns), row.source] for row in rows)):
        lines.writerow(cells if raw else map(safe, cells))
    return buffer.getvalue()
