# SPDX-License-Identifier: Apache-2.0
"""Documents as an applet's input has them: a place among its files, or the text itself. Imports pydantic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from llama_orch_utils.documents.document import Document
from llama_orch_utils.documents.plain import read as plain
from llama_orch_utils.documents.reading import load
from llama_orch_utils.errors import BadRequest

if TYPE_CHECKING:
    from llama_orch_utils.applets.files import Files

TEXT = "text"
"""The name of a text that has none."""


class Source(BaseModel):
    """A document's text under a name."""

    name: str = Field(min_length=1)
    text: str


def gather(files: Files, place: Path | None = None, sources: Sequence[Source] = (), text: str = "") -> list[Document]:
    """All that was given: the documents at `place`, the `sources`, the `text`. Raises BadRequest where that is none.

    Raises as `load` too, and BadRequest for two documents of one name: a citation could mean either.
    """
    found = [] if place is None else list(load(files, place))
    found += [plain(each.name, "text", each.text.encode()) for each in sources if each.text.strip()]
    if text.strip():
        found.append(plain(TEXT, "text", text.encode()))
    if not found:
        where = f" in {place}" if place is not None else ""
        raise BadRequest(f"there is no document to read{where}", hint="give a file, a folder, or a text")
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise BadRequest(f"two documents are called {name}", hint="give each a name of its own")
    return found
