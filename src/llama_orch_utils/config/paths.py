# SPDX-License-Identifier: Apache-2.0
"""Where things lie: one function per kind of directory; none of them creates anything but `ensure_private`.

`ORCH_HOME` puts all of them under one roof; otherwise they are the platform's own places (platformdirs).
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from llama_orch_utils.errors import ConfigError

APP = "llama-orch"
# A Unix socket's path holds 104 bytes on macOS and 108 on Linux, the closing zero included.
SOCKET_PATH_BYTES = 100
# What comes behind the runtime directory: "/workers/", a key of at most 24 bytes, ".sock".
SOCKET_NAME_BYTES = 38


def _home(kind: str) -> Path | None:
    home = os.environ.get("ORCH_HOME")
    return Path(home).expanduser().absolute() / kind if home else None


def config_dir() -> Path:
    """The user's configuration: `config.toml`, and the key file where there is no keyring."""
    home = _home("config")
    if home is not None:
        return home
    import platformdirs

    return platformdirs.user_config_path(APP)


def data_dir() -> Path:
    """What must last: the model store."""
    home = _home("data")
    if home is not None:
        return home
    import platformdirs

    return platformdirs.user_data_path(APP)


def state_dir() -> Path:
    """What lasts and may be lost: logs, the conversation log."""
    home = _home("state")
    if home is not None:
        return home
    import platformdirs

    return platformdirs.user_state_path(APP)


def cache_dir() -> Path:
    """What can be made again."""
    home = _home("cache")
    if home is not None:
        return home
    import platformdirs

    return platformdirs.user_cache_path(APP)


def runtime_dir() -> Path:
    """Sockets and locks. A short directory of our own under /tmp where the wanted path would not fit a socket."""
    wanted = _home("run") or _platform_runtime_dir()
    if wanted is not None and len(os.fsencode(wanted)) + SOCKET_NAME_BYTES <= SOCKET_PATH_BYTES:
        return wanted
    import hashlib
    import tempfile

    digest = hashlib.sha256(os.fsencode(wanted or APP)).hexdigest()[:8]
    temporary = Path("/tmp")  # noqa: S108 - 0700, owner checked
    base = temporary if temporary.is_dir() else Path(tempfile.gettempdir())
    return base / f"orch-{_uid()}-{digest}"


def _platform_runtime_dir() -> Path | None:
    """None where the session has none: what platformdirs then falls back to, with a warning, is no private place."""
    if sys.platform == "linux":
        session = os.environ.get("XDG_RUNTIME_DIR", "")
        usable = session.startswith("/") and os.access(session, os.W_OK | os.X_OK)
        return Path(session) / APP if usable else None
    import platformdirs

    return platformdirs.user_runtime_path(APP)


def ensure_private(path: Path) -> Path:
    """Make directory `path` (and its parents) for this user only (0700), and return it.

    Raises ConfigError if it cannot be made, is no directory, or belongs to somebody else.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise ConfigError(
            f"cannot make the directory {path}: {error.strerror or error}",
            file=str(path),
            hint="make it writable, or point ORCH_HOME to a directory that is",
        ) from error
    if stat.S_ISLNK(found.st_mode):
        found = path.stat()
    if hasattr(os, "getuid") and found.st_uid != _uid():
        raise ConfigError(f"{path} belongs to another user", file=str(path), hint="export ORCH_HOME=~/.llama-orch")
    if hasattr(os, "getuid") and found.st_mode & 0o077:
        path.chmod(0o700)
    return path


def _uid() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0
