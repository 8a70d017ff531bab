# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what was fetched is the model that it was fetched as: GGUF, whole, its parts in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llama_orch.models.download import RemoteFile
from llama_orch.models.gguf_header import GgufHeader, read_header
from llama_orch_utils.errors import EngineFailed, TargetError

_PROJECTORS = frozenset({"mmproj"})


def check_files(files: Sequence[tuple[RemoteFile, Path]]) -> None:
    """Raises TargetError (code `model_invalid`) that names the file as its server does, not as it lies here."""
    parts = sum(file.role == "weights" for file, _ in files)
    for file, path in files:
        header = _header(file, path)
        if header.text("general.type") == "adapter":
            raise TargetError(
                f"{file.name} is a LoRA adapter, not a model; nothing was installed",
                code="model_invalid",
                hint=_ADAPTER,
            )
        count = header.number("split.count") or 1
        if file.role == "projector":
            _expect(file, _is_projector(header), f"is no projector but {header.architecture[:40]!r}")
        else:
            _expect(file, not _is_projector(header), "is a projector, not a model")
            _expect(file, count in (1, parts), f"is one of {count} parts, and there are {parts}")
            _expect(
                file, count == 1 or header.number("split.no") == file.part - 1, "is another part than its name says"
            )


def _header(file: RemoteFile, path: Path) -> GgufHeader:
    try:
        return read_header(path)
    except EngineFailed as error:
        words = error.message.replace(str(path), file.name)
        raise TargetError(f"{words}; nothing was installed", code="model_invalid", hint=_OTHER) from error


def _is_projector(header: GgufHeader) -> bool:
    return header.text("general.type") in _PROJECTORS or header.architecture == "clip"


def _expect(file: RemoteFile, holds: bool, otherwise: str) -> None:  # noqa: FBT001 - it is what is expected
    if not holds:
        raise TargetError(f"{file.name} {otherwise}; nothing was installed", code="model_invalid", hint=_OTHER)


_ADAPTER = "fetch the file by other means (curl -LO, hf download), then: orch run -m MODEL --lora FILE 'Hello'"
_OTHER = "name the model's .gguf file, or look for another source"
