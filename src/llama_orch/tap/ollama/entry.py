# SPDX-License-Identifier: GPL-3.0-or-later
"""One model in Ollama's words: its name with a tag, its details, its times."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from llama_orch.models.gguf_header import GgufHeader, read_parts
from llama_orch.models.quantisation import file_type_name
from llama_orch.pool.fleet import FleetModel
from llama_orch.wire.shapes import TEXT, answer_object, array
from llama_orch_utils.errors import OrchError

TAG = ":latest"
CAPABILITIES = ("completion", "tools", "thinking", "insert", "vision", "embedding")
_STEPS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))
_FILE_TYPE = "general.file_type"

Details = dict[str, Any]
_NOTHING: Details = {
    "parent_model": "",
    "format": "gguf",
    "family": "",
    "families": [],
    "parameter_size": "",
    "quantization_level": "",
}


async def details(model: FleetModel) -> Details:
    """The member `details`; all of it empty where the file cannot be read, which whoever uses the model is told."""
    try:
        found = model.stored.path.stat()
        return await asyncio.to_thread(_read, model.stored.parts, (found.st_size, found.st_mtime_ns))
    except (OSError, OrchError):
        return _NOTHING


@lru_cache(maxsize=1024)
def _read(parts: tuple[Path, ...], version: tuple[int, int]) -> Details:  # noqa: ARG001 - a replaced file is read again
    return details_of(read_parts(parts))


def details_of(header: GgufHeader) -> Details:
    """The member `details` of a model with that header."""
    return _NOTHING | {
        "family": header.architecture,
        "families": [header.architecture],
        "parameter_size": size_in_words(header.parameters),
        "quantization_level": file_type_name(header.number(_FILE_TYPE)),
    }


DETAILS_SHAPE = answer_object(
    dict.fromkeys(("parent_model", "format", "family", "parameter_size", "quantization_level"), TEXT)
    | {"families": array(TEXT)}
)
"""The JSON Schema of `details`."""


def tagged(name: str) -> str:
    """The name as Ollama writes it: with a tag."""
    return name if ":" in name else name + TAG


def capabilities(model: FleetModel) -> list[str]:
    """What the model can do, in Ollama's words."""
    return [word for word in CAPABILITIES if word in model.capabilities]


def size_in_words(parameters: int) -> str:
    """How many weights, as Ollama writes it: 134.52M, 8.0B."""
    for size, letter in _STEPS:
        if parameters >= size:
            digits = 1 if size >= 1e9 else 2  # noqa: PLR2004 - Ollama's formatting: 8.0B, 134.52M
            return f"{parameters / size:.{digits}f}{letter}"
    return str(parameters)


def modified_at(model: FleetModel) -> str:
    """When the model's file was last changed, RFC 3339; the beginning of 1970 where it has gone."""
    try:
        seconds = model.stored.path.stat().st_mtime
    except OSError:
        seconds = 0.0
    return moment(seconds)


def moment(seconds: float) -> str:
    """Unix seconds as RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
