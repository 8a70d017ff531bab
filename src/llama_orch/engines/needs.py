# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine's environment holds, as pip reads it. A test holds it against pyproject.toml."""

from __future__ import annotations

import re

from llama_orch.engines.record import Kind

ENGINE = "llama-cpp-python"
ENGINE_VERSIONS = ">=0.3.36,<0.4"
PREBUILT = "xllamacpp"
PREBUILT_VERSIONS = ">=2026.10,<2027"

WORKER = (
    "llguidance>=1.3,<2",
    "jinja2>=3.1.6,<4",
    "numpy>=2.0,<3",
    "uvicorn>=0.35,<1",
    "httptools>=0.6,<1",
    "uvloop>=0.21,<1; sys_platform != 'win32'",
    "prometheus-client>=0.21,<1",
)
"""What the worker needs of the extra `local`, beside the engine."""

SDK = ("platformdirs>=4.3,<5",)
"""What the worker needs of `llama-orch-utils`."""

BINDING = ("typing-extensions>=4.5.0", "diskcache>=5.6.1")
"""What llama-cpp-python's package names besides: it is installed without its dependencies, after them."""


def names(kind: Kind) -> tuple[str, ...]:
    """The names of all that an environment of that kind holds for us."""
    found = [*WORKER, *SDK, *(BINDING if kind == "built" else ()), ENGINE if kind == "built" else PREBUILT]
    return tuple(sorted(re.split(r"[<>=; ]", each)[0] for each in found))


def wanted(package: str, versions: str, version: str | None) -> str:
    """One requirement: `package` in our range of `versions`, or exactly `version`."""
    return f"{package}=={version}" if version else f"{package}{versions}"
