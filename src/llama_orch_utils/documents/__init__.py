# SPDX-License-Identifier: Apache-2.0
"""Documents as text that still knows where it stood: text, Markdown, HTML, PDF, DOCX and CSV.

    from llama_orch_utils.documents import load, read

    for document in load(files, "handbook"):        # the Files of an applet's context
        print(document.name, document.place(0))
    read("terms.pdf", data).text

The readers of PDF, DOCX and HTML come with `pip install 'llama-orch-utils[documents]'` and are imported when needed.
"""

from __future__ import annotations

from llama_orch_utils.documents.document import Document, Place, Unit
from llama_orch_utils.documents.reading import MOST_BYTES, MOST_CHARACTERS, SUFFIXES, load, read

__all__ = ["MOST_BYTES", "MOST_CHARACTERS", "SUFFIXES", "Document", "Place", "Unit", "load", "read"]
