# SPDX-License-Identifier: Apache-2.0
"""The key file: `keys.toml`, 0600, one `"https://host" = "key"` per line."""

from __future__ import annotations

import os
from pathlib import Path

from llama_orch_utils.config import document, paths
from llama_orch_utils.config.atomic import locked, write_atomically
from llama_orch_utils.errors import ConfigError


def key_file() -> Path:
    """Where it lies; it need not exist."""
    return paths.config_dir() / "keys.toml"


def read_keys() -> dict[str, str]:
    """Every key, by host. Raises ConfigError if others can read the file, or it does not parse."""
    path = key_file()
    _refuse_readable(path)
    try:
        _, tables = document.read(path)
    except ConfigError as error:
        # tomllib's own words may quote the line, and the line is a key.
        raise ConfigError(
            f"{path} cannot be read as TOML",
            file=str(path),
            line=error.line,
            column=error.column,
            hint=error.hint,
        ) from None
    return {host: key for host, key in tables.items() if isinstance(key, str)}


def write_key(host: str, value: str | None) -> bool:
    """Keep `value` for `host` (None: remove it); False if nothing changed."""
    import tomli_w

    path = key_file()
    with locked(path):
        keys = read_keys()
        before = dict(keys)
        keys.pop(host, None)
        if value is not None:
            keys[host] = value
        if keys != before:
            write_atomically(path, tomli_w.dumps(keys).encode(), mode=0o600)
    return keys != before


def _refuse_readable(path: Path) -> None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}", file=str(path), hint=f"check the permissions of {path.parent}"
        ) from error
    if not hasattr(os, "getuid"):
        return
    if found.st_uid != os.getuid():
        raise ConfigError(f"{path} belongs to another user", file=str(path), hint=f"rm {path}, then orch auth login")
    if found.st_mode & 0o077:
        raise ConfigError(
            f"{path} holds keys and can be read by others (mode {found.st_mode & 0o777:04o})",
            file=str(path),
            hint=f"chmod 600 {path}",
        )
