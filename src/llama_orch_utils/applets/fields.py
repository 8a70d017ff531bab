# SPDX-License-Identifier: Apache-2.0
"""How an input's field is given on a command line, where its type alone does not tell."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

DOCUMENT, ARGUMENT, PATHS = "document", "argument", ("path", "file-path", "directory-path")
"""What `format` a field has in the schema."""

Document = Annotated[str, Field(json_schema_extra={"format": DOCUMENT})]
"""A text that a command reads from a FILE, or from standard input; everywhere else it is the text itself."""

Argument = Annotated[str, Field(json_schema_extra={"format": ARGUMENT})]
"""A text that a command takes by its place instead of by an option."""
