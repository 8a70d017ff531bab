# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own code for an engine's environment: the two packages as this process has them, and nothing else of its place.

The environment of a build holds no llama-orch: a worker is always the one of the command that starts it. Links in a
folder of their own, because the folder that the packages lie in may hold another llama.cpp.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from llama_orch.engines.place import root
from llama_orch_utils.config.paths import ensure_private
from llama_orch_utils.errors import ConfigError


def folder() -> Path:
    """A folder with `llama_orch` and `llama_orch_utils` in it, for PYTHONPATH. Raises ConfigError."""
    import llama_orch
    import llama_orch_utils

    packages = {each.__name__: os.path.realpath(each.__path__[0]) for each in (llama_orch, llama_orch_utils)}
    digest = hashlib.sha256(os.fsencode("\0".join(packages.values()))).hexdigest()[:12]
    place = root() / ".code" / digest
    for name, target in packages.items():
        _link(place / name, target)
    return place


def _link(link: Path, target: str) -> None:
    with contextlib.suppress(OSError):
        if os.readlink(link) == target:  # noqa: PTH115 - as text
            return
    fresh = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    try:
        ensure_private(link.parent)
        fresh.symlink_to(target)
        fresh.replace(link)
    except OSError as error:
        raise ConfigError(
            f"cannot write {link}: {error.strerror}",
            file=str(link),
            hint="make the directory writable, or point ORCH_HOME to one that is",
        ) from error
