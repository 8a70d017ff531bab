# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch applet test`: an applet against recorded answers, and against a target that answers now."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from llama_orch.cli.command import Command
from llama_orch.cli.options import argument, flag, option
from llama_orch.cli.run.asking import Reaching

if TYPE_CHECKING:
    from llama_orch.applets.confined import Processes
    from llama_orch.applets.trial import Case, Outcome
    from llama_orch.cli.output import Output


@dataclass(frozen=True, kw_only=True)
class Test(Reaching):
    """Test an applet: a folder with its project, or one that is installed.

    Against the answers in tests/recorded.jsonl: the output must be the recorded one. With --live against a target: the
    output must be valid. With --record too, and the file then holds what the target answered and what came out: look at
    it before you keep it. A folder is installed for the test as a user would install it, and removed again.
    """

    source: str = argument(
        "SOURCE", help="a folder with pyproject.toml, or an applet of orch applet ls", complete="file"
    )
    live: bool = flag("--live", help="ask the target (-m, --target) instead of the recorded answers")
    record: bool = flag("--record", help="ask the target, and write its answers into the file of cases")
    cases: str | None = option("--cases", help="the cases (default: tests/recorded.jsonl)", value="FILE")
    find_links: tuple[str, ...] = option(
        "--find-links", help="a folder or a page of packages, besides the index", value="FOLDER", many=True
    )
    index: str | None = option("--index", help="a package index instead of your own", value="URL")
    offline: bool = flag("--offline", help="take packages from --find-links only")
    json: bool = flag("--json", help="print JSON with stable keys")


def test(options: Test, out: Output) -> int:
    """1 where a case failed."""
    from llama_orch.applets import trial

    path = Path(options.cases) if options.cases else Path(options.source) / trial.RECORDED
    cases = trial.read(path)
    with _applet(options, out) as applet:
        if options.live or options.record:
            found = _asked(applet, path, cases, options, out)
        else:
            found = list(trial.recorded(applet, cases))
    rows = [{"line": each.line, "passed": not each.wrong, "wrong": each.wrong, "output": each.output} for each in found]
    out.table(rows, {"line": None, "passed": None, "wrong": None}, key="line", empty="")
    failed = sum(1 for each in found if each.wrong)
    by = "the target" if options.live or options.record else "the recording"
    out.note(f"{len(found) - failed} of {len(found)} passed, against {by}")
    if options.record:
        out.note(f"{len(found) - failed} recorded in {path}: look at them before you keep them")
    return 1 if failed else 0


def _asked(applet: Processes, path: Path, cases: list[Case], options: Test, out: Output) -> list[Outcome]:
    """The cases at a target, written down where that was wished."""
    from llama_orch.applets import recording, trial
    from llama_orch.cli.run.connection import connect
    from llama_orch_utils.transport.openai_bridge import NO_KEY

    connection = connect(options, out)
    with connection.client:
        try:
            if not options.record:
                return list(trial.live(applet, cases, connection.client))
            arguments = connection.client.openai_kwargs()
            arguments["http_client"].close()
            secret = "" if arguments["api_key"] == NO_KEY else str(arguments["api_key"])
            found = recording.record(applet, cases, connection.client, secret)
        finally:
            connection.loading.clear()
    recording.write(path, cases, found)
    return found


@contextlib.contextmanager
def _applet(options: Test, out: Output) -> Generator[Processes]:
    from llama_orch.applets import catalogue, install, source
    from llama_orch.applets.confined import Confined
    from llama_orch.applets.record import Origin
    from llama_orch_utils.errors import AppletError

    if not Path(options.source).is_dir():
        found = catalogue.load(options.source)
        if found is None or found.applet is None:
            raise (found.error if found is not None else None) or AppletError(
                f"{options.source} is no folder and no applet", hint="orch applet ls"
            )
        yield cast("Processes", found.applet)
        return
    where = str(Path(options.source).absolute())
    links = tuple(each if "://" in each else str(Path(each).absolute()) for each in options.find_links)
    origin = Origin(source.kind_of(options.source), where, options.index, links, options.offline)
    with install.offered(origin) as offer:
        record = install.make(offer, out.note)
        confined = Confined(record)
        try:
            yield confined
        finally:
            confined.close()
            install.discard(record)


TEST = Command(
    "applet test",
    Test,
    test,
    ("orch applet test ./my-applet", "orch applet test ./my-applet --live", "orch applet test ./my-applet --record"),
    {
        "line": "of the file with the cases",
        "passed": "whether it went as it should",
        "wrong": "what did not",
        "output": "what came out",
    },
)
