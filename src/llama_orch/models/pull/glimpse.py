# SPDX-License-Identifier: GPL-3.0-or-later
"""The header of a GGUF that lies elsewhere: its first bytes, by range, and no more than it takes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from llama_orch.models.download import RemoteFile, Web
from llama_orch.models.download.refusal import refusal
from llama_orch.models.gguf_header import GgufHeader, read_header
from llama_orch.models.pull.plan import PlannedFile
from llama_orch_utils.errors import EngineFailed

# A vocabulary of 250,000 words takes some 10 MB.
_STEPS = (2 << 20, 8 << 20, 32 << 20)
_GOOD = frozenset({200, 206})


def glimpse(planned: PlannedFile, web: Web) -> GgufHeader:
    """The header, from here where the file is here.

    Raises EngineFailed for what is no GGUF, Broken and OrchError as the server answers.
    """
    if planned.path is not None:
        return read_header(planned.path)
    with tempfile.NamedTemporaryFile(prefix="orch-header-") as file:
        for step in _STEPS:
            _first_bytes(web, planned.file, step, Path(file.name))
            try:
                return read_header(Path(file.name))
            except EngineFailed:
                if step == _STEPS[-1] or Path(file.name).stat().st_size < step:
                    raise
    raise AssertionError("the last step returns or raises")


def _first_bytes(web: Web, file: RemoteFile, count: int, into: Path) -> None:
    """Writes the first `count` bytes; the connection is closed where a server sends more."""
    with web.ask(file.way, headers={"range": f"bytes=0-{count - 1}"}) as answer:
        if answer.status not in _GOOD:
            raise refusal(answer, file.way, file.name)
        left = count
        with into.open("wb") as out:
            for chunk in answer.response.iter_raw():
                out.write(chunk[:left])
                left -= len(chunk)
                if left <= 0:
                    break
