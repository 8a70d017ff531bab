# SPDX-License-Identifier: Apache-2.0
"""The key of a client's command: one file that only this user can read."""

from __future__ import annotations

import os
from pathlib import Path

from llama_orch_utils.applets.branded.brand import Brand
from llama_orch_utils.config.atomic import write_atomically
from llama_orch_utils.errors import ConfigError


def path(brand: Brand) -> Path:
    """Where it lies."""
    return brand.home / "key"


def find(brand: Brand) -> str | None:
    """The key: of the environment, else of the file. Raises ConfigError for a file that others can read."""
    given = os.environ.get(f"{brand.prefix}_KEY")
    if given:
        return given
    file = path(brand)
    try:
        mode = file.stat().st_mode
        if mode & 0o077:
            raise ConfigError(f"{file} can be read by others", file=str(file), hint=f"chmod 600 {file}")
        return file.read_text("ascii").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read", file=str(file), hint=f"{brand.name} login") from error


def keep(brand: Brand, value: str) -> Path:
    """Keeps a key. Raises ConfigError for what can be none."""
    value = value.strip()
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise ConfigError("a key is printable ASCII without spaces", hint=f"{brand.name} login")
    write_atomically(path(brand), f"{value}\n".encode(), mode=0o600)
    return path(brand)
