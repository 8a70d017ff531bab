# SPDX-License-Identifier: Apache-2.0
"""DOCX, by paragraphs (python-docx). A table's row is one paragraph, its cells between ` | `."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import docx
from docx.opc.exceptions import OpcError
from docx.table import Table

from llama_orch_utils.documents.document import Document, Place, joined
from llama_orch_utils.errors import BadRequest

MOST_UNPACKED = 256 * 1024 * 1024
"""Bytes that the parts of a file may have together, unpacked."""


def read(name: str, kind: str, data: bytes) -> Document:
    """The paragraphs and tables in their order. Raises BadRequest for a broken file, and one that unpacks too large."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(each.file_size for each in archive.infolist())
        if size > MOST_UNPACKED:
            raise BadRequest(f"{name} unpacks to more than {MOST_UNPACKED // 2**20} MiB", hint="split it into parts")
        document = docx.Document(io.BytesIO(data))
        texts = [text for text in _paragraphs(document) if text.strip()]
    except (zipfile.BadZipFile, OpcError, SyntaxError, KeyError, ValueError, NotImplementedError, OSError) as error:
        raise BadRequest(f"{name} is a broken DOCX: {error}", hint="open it and save it again") from error
    return joined(name, kind, ((text, Place("paragraph", number)) for number, text in enumerate(texts, 1)))


def _paragraphs(document: Any) -> Iterator[str]:
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            for row in block.rows:
                yield " | ".join(cell.text.strip() for cell in row.cells)
        else:
            yield block.text
