# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what a gateway with workers needs is installed."""

from __future__ import annotations

from llama_orch_utils.errors import ConfigError

_NEEDED = ("uvicorn", "httptools", "uvloop", "prometheus_client")


def check() -> None:
    """Raises ConfigError with the command that installs what is missing; imports none of it."""
    import importlib.util

    from llama_orch.pool import spawn

    spawn.check_installed()
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the gateway is not installed ({', '.join(missing)})", hint="pip install 'llama-orch[local]'"
        )
