# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build may be called: a folder's name, and one word for `orch engine use`."""

from __future__ import annotations

import re

from llama_orch_utils.errors import ConfigError

INSTALLED = "installed"
"""The engine in our own environment: the extra `local`. Never built or removed by us."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def checked(name: str) -> str:
    """`name`, if a build may be called so. Raises ConfigError."""
    if name == INSTALLED:
        raise ConfigError(
            f"{INSTALLED} is the engine in your own environment, which orch never changes",
            key="engine",
            hint="orch engine ls",
        )
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"'{name[:80]}' cannot be an engine's name: lower-case letters, digits, dots, dashes, 64 at most",
            key="engine",
            hint="orch engine build --name my-build",
        )
    return name
