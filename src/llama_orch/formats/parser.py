# SPDX-License-Identifier: GPL-3.0-or-later
"""An answer's text into text, thoughts and calls, as it streams."""

from __future__ import annotations

from collections.abc import Collection

from llama_orch.formats.channels import Channels
from llama_orch.formats.form import Format
from llama_orch.formats.marked import Marked
from llama_orch.formats.parts import Part


class Parser:
    """One answer. What comes out does not depend on how the text was cut into pieces, but for where parts are cut.

    `tools` are the names of the request's tools, or a mapping from them to their JSON schemas (XML parameters get
    their types from those); None: calls are not looked for. `thinking`: thoughts are told apart from text. `opened` is
    the prompt's end as text: a thought that it begins goes on in the answer. Text is lost only where the answer was
    cut within a call; white space around thoughts and calls is dropped.
    """

    def __init__(self, form: Format, *, tools: Collection[str] | None, thinking: bool, opened: str = "") -> None:
        if form.channels:
            self._reader = Channels(tools=tools, opened=opened)
        else:
            self._reader = Marked(form, tools=tools, thinking=thinking, opened=opened)

    def push(self, text: str) -> list[Part]:
        """What became certain by `text`."""
        return self._reader.push(text)

    def flush(self) -> list[Part]:
        """What was held back, at the answer's end."""
        return self._reader.flush()
