# SPDX-License-Identifier: GPL-3.0-or-later
"""The run of an applet: its documents read, its output shown as it comes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from llama_orch.cli.applet.form import given
from llama_orch.cli.failure import UsageError
from llama_orch.cli.run import prompt, sink
from llama_orch.cli.run.connection import DEMO_NOTICE, connect

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch_utils.applets import Applet, Input


def run_applet(applet: Applet, options: Any, out: Output) -> int | None:
    """Read the inputs, run it, print what it makes."""
    from llama_orch_utils.applets import pieces, read_inputs

    if options.quiet:
        out.mode = "quiet"
    values = given(applet, options)
    documents = [each for each in applet.inputs if each.kind == "document"]
    for place, each in enumerate(documents):
        values[each.name] = _document(applet, each, values[each.name], first=place == 0)
    inputs = read_inputs(applet, values)
    connection = connect(options, out)
    if connection.demo:
        out.note(DEMO_NOTICE)
    shown: list[str] = []
    with connection.client:
        target = sink.Kept() if options.json else sink.streaming(out)
        try:
            for piece in pieces(applet, connection.client, inputs):
                shown.append(piece)
                target.write(piece)
        finally:
            connection.loading.clear()
            target.finish()
    if options.json:
        out.data({"applet": applet.name, "text": "".join(shown)}, compact=True)
    return None


def _document(applet: Applet, declared: Input, name: str | None, *, first: bool) -> str | None:
    """The text of a document: of the file; of standard input for `-`, and for the first one where no file is named."""
    if name not in {None, "-"}:
        return prompt.read_file(str(name))
    if name == "-" or (first and not sys.stdin.isatty()):
        text = prompt.read_stdin(wanted=name == "-")
        if text.strip() or name == "-":
            return text
    if declared.required:
        raise UsageError(f"FILE is missing: {declared.help}", hint=f"orch {applet.name} FILE")
    return None
