# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine as a row: what every `orch engine` command prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_orch.engines.record import EngineRecord

KEYS = {
    "name": "what orch engine use takes; installed is the one of your own environment",
    "in_use": "whether local models run on it",
    "state": "ok, missing (the extra local is not installed), broken (its Python is gone), outdated (of an earlier "
             "orch) or elsewhere (made for another processor)",
    "backend": "cpu, cuda, metal, vulkan or rocm; null for the installed one",
    "kind": "installed, built (compiled here) or prebuilt (a registry's wheel, slower)",
    "version": "of llama-cpp-python or xllamacpp, or null",
    "amx": "whether it uses the processor's matrix units, or null where nobody knows",
    "flags": "cmake definitions that it was built with",
    "processor": "what it was built on, or null",
    "python": "the Python of its environment, or null",
    "built_at": "ISO 8601, UTC, or null",
    "build_seconds": "how long it took, or null",
    "tokens_per_second": "of the small benchmark: writing, one stream; null if it was not measured",
    "prompt_tokens_per_second": "of the small benchmark: reading; null if it was not measured",
    "size": "bytes on the disk, or null",
    "path": "its environment, or null",
}  # fmt: skip


def rows() -> list[dict[str, object]]:
    """All engines."""
    from llama_orch.engines import shelf
    from llama_orch.engines.names import INSTALLED

    return [of(name) for name in (INSTALLED, *shelf.names())]


def of(name: str) -> dict[str, object]:
    """One engine. Raises ConfigError where there is none of that name."""
    from llama_orch.engines import shelf
    from llama_orch.engines.names import INSTALLED
    from llama_orch.engines.runtime import chosen

    found = _installed() if name == INSTALLED else _built(shelf.find(name))
    return {key: name == chosen() if key == "in_use" else found.get(key) for key in KEYS}


def _built(record: EngineRecord) -> dict[str, object]:
    from llama_orch.engines import shelf
    from llama_orch.engines.place import Place

    speed = record.speed
    return {
        "name": record.name,
        "state": _state(record),
        "backend": record.backend,
        "kind": record.kind,
        "version": record.version,
        "amx": record.amx,
        "flags": list(record.flags),
        "processor": record.processor,
        "python": record.python,
        "built_at": record.built_at,
        "build_seconds": record.seconds,
        "tokens_per_second": None if speed is None else speed.tokens,
        "prompt_tokens_per_second": None if speed is None else speed.prompt,
        "size": shelf.size(record),
        "path": str(Place(record.name).environment(record.build)),
    }


def _state(record: EngineRecord) -> str:
    import os

    from llama_orch.engines import processor
    from llama_orch.engines.place import Place
    from llama_orch.engines.runtime import lacks

    if not os.access(Place(record.name).python(record.build), os.X_OK):
        return "broken"
    if lacks(record):
        return "outdated"
    elsewhere = record.kind == "built" and record.processor != processor.name()
    return "elsewhere" if elsewhere else "ok"


def _installed() -> dict[str, object]:
    from importlib import metadata

    from llama_orch.engines.names import INSTALLED
    from llama_orch.engines.runtime import missing_modules

    state, version = ("missing", None) if missing_modules() else ("ok", metadata.version("llama-cpp-python"))
    return {"name": INSTALLED, "state": state, "kind": INSTALLED, "version": version, "flags": []}
