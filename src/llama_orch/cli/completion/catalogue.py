# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that `orch pull` knows, for TAB: read without the store and its checks, whose import takes too long."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, cast

_OURS = ("..", "..", "models", "catalogue", "models.toml")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,94}")


def fetchable() -> list[tuple[str, str]]:
    """Names with a line of help each, the user's own first. A catalogue that cannot be read offers nothing."""
    own = os.path.join(_config_dir(), "catalogue.toml")  # noqa: PTH118 - pathlib costs 10 ms
    ours = os.path.join(os.path.dirname(__file__), *_OURS)  # noqa: PTH118, PTH120 - as above
    return list({**dict(_names(own)), **dict(_names(ours))}.items())


def _config_dir() -> str:
    """As `llama_orch_utils.config.paths.config_dir`, whose import takes half of the budget."""
    if home := os.environ.get("ORCH_HOME"):
        return os.path.join(os.path.abspath(os.path.expanduser(home)), "config")  # noqa: PTH100, PTH111, PTH118 - as above
    import platformdirs

    return platformdirs.user_config_dir("llama-orch")


def _names(file: str) -> Iterator[tuple[str, str]]:
    import tomllib

    try:
        with open(file, "rb") as opened:  # noqa: PTH123 - as above
            families = tomllib.load(opened).get("family", {})
    except (OSError, ValueError):
        return  # `orch pull --list` says what is wrong with it
    for name, family in _table(families).items():
        for size, said in _table(_table(family).get("sizes")).items():
            if _NAME.fullmatch(name) and _NAME.fullmatch(size):
                yield f"{name}:{size}", _help(_table(said).get("parameters"))


def _table(found: object) -> dict[str, Any]:
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _help(parameters: object) -> str:
    return f"{parameters} parameters" if isinstance(parameters, str) and parameters.isprintable() else ""
