# SPDX-License-Identifier: Apache-2.0
"""PDF, by pages (pypdf). What is drawn instead of written (a scan) has no text."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from llama_orch_utils.documents.document import Document, Place, joined
from llama_orch_utils.errors import BadRequest

MOST_PAGES = 2000


def read(name: str, kind: str, data: bytes) -> Document:
    """The text of its pages. Raises BadRequest for a broken or encrypted file, and for more than 2000 pages."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it tells every oddity of a file that it reads all the same
    try:
        return joined(name, kind, _pages(name, PdfReader(io.BytesIO(data))))
    except (PyPdfError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OSError) as error:
        raise BadRequest(f"{name} is a broken PDF: {error}", hint="mend it: qpdf IN OUT") from error
    except ImportError as error:
        raise BadRequest(f"{name} is encrypted; reading it needs {error.name}", hint="qpdf --decrypt IN OUT") from error


def _pages(name: str, reader: PdfReader) -> Iterator[tuple[str, Place]]:
    if reader.is_encrypted and not reader.decrypt(""):
        raise BadRequest(f"{name} is encrypted", hint="decrypt it: qpdf --decrypt --password=… IN OUT")
    if len(reader.pages) > MOST_PAGES:
        raise BadRequest(f"{name} has {len(reader.pages)} pages, more than {MOST_PAGES}", hint="split it into parts")
    for number, page in enumerate(reader.pages, 1):
        yield page.extract_text().replace("\0", ""), Place("page", number)
