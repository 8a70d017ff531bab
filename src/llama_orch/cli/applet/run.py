# SPDX-License-Identifier: GPL-3.0-or-later
"""The run of an applet: its input read from the command line, its output printed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from llama_orch.cli.applet.form import PREFIX
from llama_orch.cli.failure import UsageError
from llama_orch.cli.run import prompt
from llama_orch.cli.run.connection import DEMO_NOTICE, connect
from llama_orch_utils.applets.inputs import InputField, fields_of

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch_utils.applets.files import Files
    from llama_orch_utils.applets.schema import Runnable


def run_applet(applet: Runnable, options: Any, out: Output) -> int | None:
    """Once, or for every row of a batch."""
    if options.quiet:
        out.mode = "quiet"
    source = options.batch or getattr(options, "source", None)
    if source is not None:
        from llama_orch.cli.applet.batch import run_rows

        return run_rows(applet, source, options, out)
    for name in ("output", "dry_run", "fresh", "raw_cells"):
        if getattr(options, name):
            words = f"--{name.replace('_', '-')} is for a batch, and there is none"
            raise UsageError(words, hint=f"orch {applet.id} --batch FILE.csv")
    values = given(applet, options, single=True)
    _complete(applet, values)
    connection = connect(options, out)
    if connection.demo:
        out.note(DEMO_NOTICE)
    from llama_orch.cli.applet.progress import Steps

    with connection.client, Steps(out) as steps:
        try:
            made = applet.invoke(values, client=connection.client, files=files_of(applet, values), progress=steps.show)
        finally:
            connection.loading.clear()
    if options.json:
        out.data(made.output, compact=True)
    else:
        out.write(made.text if made.text.endswith("\n") else f"{made.text}\n")
    return None


def given(applet: Runnable, options: Any, *, single: bool) -> dict[str, Any]:
    """What the command line gave, by the fields of the input; documents are read where `single`."""
    values: dict[str, Any] = {}
    first = True
    named = _names_files(applet, options)
    for each in fields_of(applet):
        value: Any = getattr(options, PREFIX + each.name)
        if each.kind == "document":
            # A document that may be missing is not waited for where the command line names other files.
            waits = first and (each.required or not named)
            value = _document(applet, value, first=waits, required=each.required) if single else None
            first = False
        elif each.kind == "json" and value is not None:
            value = _json(applet, each, value)
        elif each.kind == "list":
            value = list(cast("tuple[Any, ...]", value)) or None
        elif each.kind == "flag":
            value = value or None
        elif each.kind == "path" and value is not None:
            value = str(Path(value).absolute())
        if value is not None:
            values[each.name] = value
    return values


def _names_files(applet: Runnable, options: Any) -> bool:
    paths = [each.name for each in fields_of(applet) if each.kind == "path"]
    return any(getattr(options, PREFIX + name) is not None for name in paths if name not in applet.manifest.writes)


def files_of(applet: Runnable, values: dict[str, Any]) -> Files:
    """The files and folders that the command line named: the run gets those, and no others."""
    from llama_orch_utils.applets.files import Files

    paths = [each.name for each in fields_of(applet) if each.kind == "path" and each.name in values]
    named = {name: Path(values[name]) for name in paths}
    writes = [path for name, path in named.items() if name in applet.manifest.writes]
    return Files([path for path in named.values() if path not in writes] if applet.manifest.reads else (), writes)


def _complete(applet: Runnable, values: dict[str, Any]) -> None:
    for each in fields_of(applet):
        if each.required and each.name not in values:
            flag = each.name.replace("_", "-")
            name = "FILE" if each.kind == "document" else flag.upper() if each.by_place else f"--{flag}"
            raise UsageError(f"{name} is missing: {each.words}", hint=f"orch {applet.id} --help")


def _document(applet: Runnable, name: str | None, *, first: bool, required: bool) -> str | None:
    """The text of a document: of the file; of standard input for `-`, and for the first one where no file is named."""
    if name not in {None, "-"}:
        return prompt.read_file(str(name))
    if name == "-" or (first and not sys.stdin.isatty()):
        text = prompt.read_stdin(wanted=name == "-")
        if not text.strip():
            if name is None and not required:
                return None
            raise UsageError("there is no text: standard input is empty", hint=f"orch {applet.id} FILE")
        return text
    return None


def _json(applet: Runnable, declared: InputField, text: str) -> Any:
    name = declared.name.replace("_", "-")
    text = prompt.read_file(text[1:]) if text.startswith("@") else text
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(
            f"--{name} needs JSON ({error})", hint=f"orch {applet.id} --{name} @FILE.json, or the JSON in quotes"
        ) from error
