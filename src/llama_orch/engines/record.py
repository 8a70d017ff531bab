# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a build, as `engine.json` keeps it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, cast

Backend = Literal["cpu", "cuda", "metal", "vulkan", "rocm"]
BACKENDS: tuple[Backend, ...] = ("cpu", "cuda", "metal", "vulkan", "rocm")
Kind = Literal["built", "prebuilt"]
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second of the small benchmark (`llama_orch.engine.speed`): reading a prompt, and writing."""

    prompt: float
    tokens: float

    def __str__(self) -> str:
        """In words."""
        return f"{self.tokens:.1f} tokens/s, reading {self.prompt:.0f} tokens/s"


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """A build that is whole. `build` is the folder that holds its environment, beside the record.

    `kind` is built (llama-cpp-python, compiled here) or prebuilt (xllamacpp's wheel); `version` is that package's,
    `python` the interpreter's, `packages` what its environment was filled with; `processor` is what it was made on,
    `flags` the cmake definitions. `amx`: it uses the matrix units. `seconds` it took, `speed` is what it does here
    (None: not measured), `built_at` is ISO 8601, UTC.
    """

    name: str
    backend: Backend
    kind: Kind
    build: str
    version: str
    python: str
    processor: str
    flags: tuple[str, ...]
    built_at: str
    seconds: float
    amx: bool = False
    packages: tuple[str, ...] = ()
    speed: Speed | None = None

    @property
    def again(self) -> str:
        """The command that builds it once more."""
        what = "--prebuilt" if self.kind == "prebuilt" else f"--backend {self.backend}"
        return f"orch engine build {what} --name {self.name}"

    def as_json(self) -> bytes:
        """The record as `engine.json` has it."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2).encode()


def read(content: bytes) -> EngineRecord:
    """The record in `content`. Raises ValueError for what is none, or of a later format."""
    found: Any = json.loads(content)
    if not isinstance(found, dict) or cast("dict[str, Any]", found).get("format") != FORMAT:
        raise ValueError(f"no record of format {FORMAT}")
    values = cast("dict[str, Any]", found)
    known: dict[str, Any] = {each.name: values[each.name] for each in fields(EngineRecord) if each.name in values}
    if not all(isinstance(known.get(name), str) for name in ("name", "build", "version", "backend", "kind")):
        raise ValueError("a field is missing")
    speed: Any = known.get("speed")
    try:
        known |= {name: tuple(known.get(name, ())) for name in ("flags", "packages")}
        known["speed"] = None if speed is None else Speed(**speed)
        return EngineRecord(**known)
    except TypeError as error:
        raise ValueError(f"a field is missing: {error}") from error
