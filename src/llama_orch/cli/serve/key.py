# SPDX-License-Identifier: GPL-3.0-or-later
"""The key of this machine's tap: made once, kept in a file of mode 0600, so that clients stay configured."""

from __future__ import annotations

import os
import re
from pathlib import Path

from llama_orch_utils.errors import ConfigError
from llama_orch_utils.secrets import Secret

VARIABLE = "ORCH_API_KEY"
_KEY = re.compile(r"[!-~]{16,512}")


def key_file() -> Path:
    """Where it is kept."""
    from llama_orch_utils.config import paths

    return paths.config_dir() / "serve.key"


def kept() -> Secret:
    """The key that is kept, made now if there is none. Two who make it at once get the same one.

    Raises ConfigError where the file can be read by others, holds no key, or cannot be written.
    """
    import secrets

    from llama_orch_utils.config.atomic import locked, write_atomically

    path = key_file()
    with locked(path):
        if not path.exists():
            write_atomically(path, f"orch-{secrets.token_urlsafe(32)}\n".encode())
        return Secret(_read(path), "file", str(path))


def private(host: str) -> bool:
    """Whether only this machine can come to `host`. A name that means nothing is the listener's to refuse."""
    import socket
    from ipaddress import ip_address

    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return all(ip_address(str(each[4][0]).partition("%")[0]).is_loopback for each in found)


def _read(path: Path) -> str:
    try:
        found = path.stat()
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it holds no key"
        raise ConfigError(f"cannot read {path}: {why}", file=str(path), hint=f"rm {path}") from error
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o077):
        raise ConfigError(
            f"{path} holds the key and can be read by others (mode {found.st_mode & 0o777:04o})",
            file=str(path),
            hint=f"rm {path} (the next orch serve makes another), or chmod 600 {path}",
        )
    if not _KEY.fullmatch(text):
        raise ConfigError(f"{path} holds no key", file=str(path), hint=f"rm {path}")
    return text
