# SPDX-License-Identifier: Apache-2.0
r"""The applet API, version 1: how a package adds a command that works on any target.

    from llama_orch_utils.applets import Applet, Input

    def run(client, inputs):
        with client.stream(f"Summarise:\n{inputs['text']}") as stream:
            yield from stream

    applet = Applet("summarize", "A text in, a summary out.", run, inputs=(Input("text", "What to read.", "document"),))

and in its `pyproject.toml`

    [project.entry-points."llama_orch.applets.v1"]
    summarize = "my_package:applet"
"""

from __future__ import annotations

from llama_orch_utils.applets.applet import API_VERSION, Applet, AppletInputs, AppletOutput, Input, InputKind
from llama_orch_utils.applets.discovery import GROUP, Found, discover, load, names
from llama_orch_utils.applets.running import pieces, read_inputs

__all__ = [
    "API_VERSION",
    "GROUP",
    "Applet",
    "AppletInputs",
    "AppletOutput",
    "Found",
    "Input",
    "InputKind",
    "discover",
    "load",
    "names",
    "pieces",
    "read_inputs",
]
