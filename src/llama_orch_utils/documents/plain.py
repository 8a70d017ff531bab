# SPDX-License-Identifier: Apache-2.0
"""Text and Markdown, by lines."""

from __future__ import annotations

import codecs

from llama_orch_utils.documents.document import Document
from llama_orch_utils.errors import BadRequest

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read(name: str, kind: str, data: bytes) -> Document:
    """The text, its line breaks as line feeds."""
    return Document(name, kind, decoded(name, data).replace("\r\n", "\n").replace("\r", "\n"))


def decoded(name: str, data: bytes) -> str:
    """UTF-8, with or without its mark, or UTF-16 by its mark. Raises BadRequest with the line for anything else."""
    try:
        text = data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadRequest(
            f"{name} is not UTF-8 (line {line})", hint="save it as UTF-8, or: iconv -f WINDOWS-1252 -t UTF-8"
        ) from error
    if "\0" in text:
        raise BadRequest(f"{name} holds NUL bytes: it is no text", hint="give the text itself")
    return text
