# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engine is in use: the setting `engine`, `installed` where nobody has set it."""

from __future__ import annotations

from llama_orch.engines import shelf
from llama_orch.engines.names import INSTALLED
from llama_orch.engines.runtime import chosen

_KEY = "engine"


def in_use() -> str:
    """The name of the engine that counts now, from the flag to the default."""
    return chosen()


def use(name: str) -> str:
    """Makes `name` the user's choice; the name of the engine that was in use. Raises ConfigError: it is not there."""
    from llama_orch_utils import config

    before = chosen()
    if name == INSTALLED:
        config.unset_value(_KEY)
    else:
        config.set_value(_KEY, shelf.find(name).name)
    return before


def forget(name: str) -> bool:
    """Takes `name` out of the user's file; whether it was his choice."""
    from llama_orch_utils import config

    found = config.load(environ={}).get(_KEY)
    if found.value != name or found.origin.kind != "user":
        return False
    return config.unset_value(_KEY)


def overridden(name: str) -> tuple[str, str] | None:
    """What stands before the user's choice of `name`, and how to take it away; None where nothing does."""
    from llama_orch_utils import config

    found = config.load().get(_KEY)
    if (found.value or INSTALLED) == name:
        return None
    where = found.origin
    if where.kind == "environment":
        return f"ORCH_ENGINE={found.value} is set, and counts before it", "unset ORCH_ENGINE"
    return f"{where} says engine = {found.value!r}, and counts before it", "orch config ls --show-origin"
