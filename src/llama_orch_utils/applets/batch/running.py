# SPDX-License-Identifier: Apache-2.0
"""The run of a batch: bounded in rows at once and in money, and to be gone on with after whatever ended it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama_orch_utils.applets import rpc
from llama_orch_utils.applets.batch.columns import Columns
from llama_orch_utils.applets.batch.journal import SUFFIX, Journal
from llama_orch_utils.applets.batch.results import output_for, write
from llama_orch_utils.applets.batch.rows import Row, Rows
from llama_orch_utils.applets.files import Files
from llama_orch_utils.applets.inputs import fields_of
from llama_orch_utils.errors import (
    AppletError,
    BudgetExceeded,
    ConfigError,
    InsufficientCredits,
    ModelNotFound,
    NotAllowed,
    NotAuthorised,
    OrchError,
    RateLimited,
    RequestError,
    TargetError,
    TargetUnreachable,
    UnsupportedByTarget,
)

if TYPE_CHECKING:
    from llama_orch_utils.applets.schema import Runnable
    from llama_orch_utils.client.blocking import Client

_STOPS = (
    ConfigError, InsufficientCredits, ModelNotFound, NotAllowed, NotAuthorised, TargetUnreachable, UnsupportedByTarget,
)  # fmt: skip
"""What the next row would meet as well."""
_AGAIN = (TargetError, RateLimited)
"""What another try may mend: such a row is run again when the batch is gone on with."""
_RUNNING, _PAUSE, _PATIENCE = "idempotency_in_progress", 0.5, 300.0
_WINDOW = 2


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a batch is. `cost` and `cost_left` are micro-euros, `rate` rows per second; 0: nobody knows yet."""

    done: int
    total: int
    failed: int
    rate: float
    seconds_left: float
    cost: int
    cost_left: int


@dataclass(frozen=True, slots=True)
class Report:
    """How a batch ended: `done` of `rows` have a result, `failed` of them an error; `stopped`: what ended it early."""

    rows: int
    done: int
    failed: int
    cost: int
    kept: int
    output: Path
    stopped: OrchError | None = None


Watch = Callable[[Standing], None]


def _blind(_standing: Standing) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What to run and how. `given` are values that all rows share; `fresh` forgets what an earlier run did.

    `raw_cells`: cells of a CSV are written as they are, also those that a spreadsheet would run.
    """

    applet: Runnable
    source: Path
    output: Path | None = None
    given: Mapping[str, Any] = field(default_factory=dict[str, Any])
    concurrency: int = 4
    max_cost: int | None = None
    fresh: bool = False
    brand: Mapping[str, str] | None = None
    raw_cells: bool = False

    def rows(self) -> Rows:
        """Its rows. Raises BadRequest."""
        more = bool(self.applet.schema()["input"].get("additionalProperties"))
        names = self.applet.manifest.batch_columns
        return Rows(self.source, fields_of(self.applet), self.given, Columns(names, more=more))


def run_batch(batch: Batch, client: Client, watch: Watch = _blind) -> Report:
    """Runs what is not done yet, and writes the output; rows that failed are in it, each in its place.

    Killed at any moment, the same batch goes on where it was. Its journal lies beside the output until all rows have a
    result that another run would not better. Raises BadRequest for a source or an output that cannot be one.
    """
    rows = batch.rows()
    output = output_for(batch.source, batch.output)
    about = {"applet": batch.applet.id, "version": batch.applet.manifest.version, "rows": rows.digest}
    with Journal(output.with_name(output.name + SUFFIX), about, fresh=batch.fresh) as journal:
        report = _Run(batch, client, rows, journal, output, watch).run()
        names = list(batch.applet.schema()["output"].get("properties", {}))

        def result(number: int) -> dict[str, Any] | None:
            return journal.read(number) if number in journal else report.open.get(number)

        write(rows, output, names, result, raw=batch.raw_cells)
        if report.stopped is None and not report.open:
            journal.forget()
    return Report(rows.total, report.done, report.failed, report.cost, report.kept, output, report.stopped)


class _Run:
    """One run of a batch; `open` are the rows that failed and may do better, `kept` those that were done before."""

    def __init__(self, batch: Batch, client: Client, rows: Rows, journal: Journal, output: Path, watch: Watch) -> None:
        self._batch, self._rows, self._journal, self._watch = batch, rows, journal, watch
        self._client = client.capped(batch.max_cost)
        self._output = output
        self.kept, self.failed, self.done, self.cost = len(journal.done), 0, 0, 0
        self.open: dict[int, dict[str, Any]] = {}
        self.stopped: OrchError | None = None
        self._begun = time.monotonic()

    def run(self) -> _Run:
        """Until there are no more rows, or something stops it."""
        before = self._journal.done
        self.done = len(before)
        self.failed = sum(1 for each in before if self._journal.read(each).get("error"))
        rows = (row for row in self._rows if row.number not in before)
        running: dict[Future[dict[str, Any]], Row] = {}
        threads = ThreadPoolExecutor(self._batch.concurrency, "row")
        try:
            while True:
                self._fill(rows, running, threads)
                if not running:
                    break
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for each in finished:
                    self._take(running.pop(each), each)
        finally:
            threads.shutdown(wait=True, cancel_futures=True)
        return self

    def _fill(
        self, rows: Iterator[Row], running: dict[Future[dict[str, Any]], Row], threads: ThreadPoolExecutor
    ) -> None:
        while self.stopped is None and len(running) < _WINDOW * self._batch.concurrency:
            row = next(rows, None)
            if row is None:
                return
            if row.error is not None:
                self._keep(row, _failed(row.error), sync=False)  # nothing was paid for it
            else:
                running[threads.submit(self._row, row)] = row

    def _row(self, row: Row) -> dict[str, Any]:
        if self.stopped is not None:
            raise self.stopped
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                made = self._batch.applet.invoke(
                    row.values,
                    client=self._client,
                    files=self._files(row),
                    brand=self._batch.brand,
                    repeat=f"batch-{self._journal.run}-{row.number}",
                )
            except RequestError as error:
                if error.code != _RUNNING or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE)  # the tap still answers what was asked before the kill
            else:
                return {"output": made.output, "cost": made.cost}

    def _files(self, row: Row) -> Files:
        paths = [Path(row.values[each.name]) for each in fields_of(self._batch.applet) if self._is_file(each.name, row)]
        return Files(paths if self._batch.applet.manifest.reads else ())

    def _is_file(self, name: str, row: Row) -> bool:
        return (
            name in row.values
            and any(each.name == name and each.kind == "path" for each in fields_of(self._batch.applet))
            and (name in self._batch.given or self._rows.form == "folder")
        )

    def _take(self, row: Row, future: Future[dict[str, Any]]) -> None:
        try:
            result = future.result()
        except OrchError as error:
            if _stops(error):
                self.stopped = self.stopped or error
                return
            result = _failed(error)
        except Exception as error:  # noqa: BLE001 - one row's accident must not cost the others
            result = _failed(AppletError(f"{type(error).__name__}: {error}"))
        self._keep(row, result)

    def _keep(self, row: Row, result: dict[str, Any], *, sync: bool = True) -> None:
        self._journal.write(row.number, result, sync=sync)
        if result.get("again"):
            self.open[row.number] = result
        self.done += 1
        self.failed += 1 if result.get("error") else 0
        self.cost += int(result["cost"])
        self._watch(self._standing())

    def _standing(self) -> Standing:
        ran, total = self.done - self.kept, self._rows.total
        rate = ran / max(time.monotonic() - self._begun, 1e-6)
        left = total - self.done
        return Standing(self.done, total, self.failed, rate, left / rate, self.cost, self.cost * left // max(ran, 1))


def _failed(error: OrchError) -> dict[str, Any]:
    return {"error": rpc.said(error), "cost": 0, "again": isinstance(error, _AGAIN)}


def _stops(error: OrchError) -> bool:
    from llama_orch_utils.applets.applet import MANIFEST_CAP

    if isinstance(error, BudgetExceeded):
        return error.limit_source != MANIFEST_CAP
    return isinstance(error, _STOPS)
