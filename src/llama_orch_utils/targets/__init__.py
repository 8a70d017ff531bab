# SPDX-License-Identifier: Apache-2.0
"""What a target is, which one is meant, and how the local one is started."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from llama_orch_utils.targets.choose import PUBLIC_URL as PUBLIC_URL
    from llama_orch_utils.targets.target import Target as Target
    from llama_orch_utils.targets.target import base_url as base_url

_HOME_OF = {
    "PUBLIC_URL": "choose",
    "Target": "target",
    "base_url": "target",
}

__all__ = [
    "PUBLIC_URL",
    "Target",
    "base_url",
]


def __getattr__(name: str) -> object:
    """Load the public name `name` (PEP 562): most callers need one of them, and all of them cost 30 ms."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
