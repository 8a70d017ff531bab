# SPDX-License-Identifier: Apache-2.0
"""The summarize applet: a text in, a summary out, on any target and of any length.

`applet` is the record that the entry point names. `summary.py` asks the model, `parts.py` cuts what is too long.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llama_orch_utils.applets import Applet, AppletInputs, Input
from llama_orch_utils.errors import BadRequest

if TYPE_CHECKING:
    from llama_orch_utils import Client

__all__ = ["applet", "run"]


def run(client: Client, inputs: AppletInputs) -> Iterator[str]:
    """The summary in pieces. Raises BadRequest where there is no text."""
    from llama_orch_applet_summarize.summary import Wish, summarise

    text = str(inputs["file"] or inputs["text"] or "")
    if not text.strip():
        raise BadRequest("there is no text to summarise", param="/file", hint="orch summarize FILE")
    language = inputs["language"]
    wish = Wish(str(inputs["length"]), str(language) if language is not None else None)
    return summarise(client, text, wish)


applet = Applet(
    "summarize",
    "Summarise a text of any length",
    run,
    inputs=(
        Input("file", "the text", "document"),
        Input("text", "the text itself, instead of a file"),
        Input("length", "how long the summary gets", "choice", "medium", choices=("short", "medium", "long")),
        Input("language", "the language of the summary; that of the text if left out"),
    ),
)
