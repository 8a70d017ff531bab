# SPDX-License-Identifier: Apache-2.0
"""The two files: the user's `config.toml`, and the project's `orch.toml`."""

from __future__ import annotations

from pathlib import Path

from llama_orch_utils.config import document, paths
from llama_orch_utils.config.atomic import locked, write_atomically
from llama_orch_utils.config.settings import SETTINGS, TARGET_KEY_PARTS, SettingValue, declared
from llama_orch_utils.errors import ConfigError

PROJECT_FILE = "orch.toml"


def user_file() -> Path:
    """The user's file; it need not exist."""
    return paths.config_dir() / "config.toml"


def project_file(start: Path | None = None) -> Path | None:
    """The nearest `orch.toml` from `start` (the working directory) upwards, or None."""
    try:
        here = (start or Path.cwd()).absolute()
    except FileNotFoundError:  # the working directory was removed
        return None
    for folder in (here, *here.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder / PROJECT_FILE
    return None


def split_key(key: str) -> tuple[str, ...]:
    """`model` and `targets.NAME.url` as a path of keys; NAME may hold dots and colons."""
    parts = key.split(".")
    if parts[0] == "targets" and len(parts) >= TARGET_KEY_PARTS:
        return ("targets", ".".join(parts[1:-1]), parts[-1])
    return (key,)


def set_value(key: str, value: SettingValue, *, file: Path | None = None) -> SettingValue:
    """Write `key` into the user's file (or `file`), checked; returns the value as it was understood.

    `key` is a setting's name, or `targets.NAME.url` and the like. The rest of the file, comments included, stays.
    Raises ConfigError for an unknown key or a value that does not fit.
    """
    setting = declared(key)
    if setting is None:
        raise unknown_key(key)
    try:
        understood = setting.read(value)
    except ValueError as error:
        raise ConfigError(f"{key} must be {error}", key=key, hint=f"orch config set {key} VALUE") from error
    _rewrite(file or user_file(), split_key(key), understood)
    return understood


def unset_value(key: str, *, file: Path | None = None) -> bool:
    """Remove `key` (a setting, a target's field, or `targets.NAME` whole); False if it was not there."""
    path = file or user_file()
    parts = key.split(".")
    if parts[0] == "targets" and declared(key) is None and len(parts) > 1:
        name = ".".join(parts[1:])
        _, tables = document.read(path)
        fields = tables.get("targets", {}).get(name, {})
        removed = [_rewrite(path, ("targets", name, field), None) for field in fields]
        return any(removed)
    if declared(key) is None:
        raise unknown_key(key)
    return _rewrite(path, split_key(key), None)


def unknown_key(key: str) -> ConfigError:
    """The error for a key that nobody declared, with the nearest one that is."""
    import difflib

    near = difflib.get_close_matches(key, SETTINGS, n=1)
    words = f"; did you mean {near[0]}?" if near else ""
    return ConfigError(f"there is no setting {key}{words}", key=key, hint="orch config ls")


def _rewrite(path: Path, keys: tuple[str, ...], value: SettingValue) -> bool:
    with locked(path):
        text, _ = document.read(path)
        changed = document.change(path, text, keys, value)
        if changed != text:
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
            write_atomically(path, changed.encode(), mode=mode)
    return changed != text
