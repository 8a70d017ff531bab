# SPDX-License-Identifier: Apache-2.0
"""Documents and a schema of yours in; a table out."""

from __future__ import annotations

from llama_orch_applet_extract.tables import Job, Row, Table, extract

__all__ = ["Job", "Row", "Table", "extract"]
