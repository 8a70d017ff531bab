# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what a tap needs is installed; said in words, with the command that mends it."""

from __future__ import annotations


def check() -> None:
    """Raises ConfigError where the extra `tap` is missing."""
    from importlib.util import find_spec

    missing = [name for name in ("sqlalchemy", "alembic", "tomlkit", "uvicorn") if find_spec(name) is None]
    if missing:
        from llama_orch_utils.errors import ConfigError

        raise ConfigError(
            f"a tap needs more than the base installation: {', '.join(missing)} is missing",
            hint="pip install 'llama-orch[tap]'",
        )
