# SPDX-License-Identifier: Apache-2.0
"""Reading the configuration: all sources, in their order, each value with its origin."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from llama_orch_utils.config import document
from llama_orch_utils.config.environment import VARIABLES
from llama_orch_utils.config.origin import Origin, Value
from llama_orch_utils.config.settings import SETTINGS, TARGET_FIELDS, Setting, SettingValue
from llama_orch_utils.config.store import project_file, unknown_key, user_file
from llama_orch_utils.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TargetEntry:
    """One `[targets.NAME]` of a file. `shadowed` is the user's own address where a project file names another."""

    name: str
    url: str
    model: str | None
    origin: Origin
    shadowed: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """What was found. `warnings` are words about keys that nobody reads."""

    values: Mapping[str, Value]
    targets: Mapping[str, TargetEntry]
    user_file: Path
    project_file: Path | None = None
    user_target: Value | None = None
    warnings: tuple[str, ...] = field(default=())

    def get(self, key: str) -> Value:
        """The value that counts for setting `key`; ConfigError if there is no such setting."""
        if key not in SETTINGS:
            raise unknown_key(key)
        return self.values[key]


def load(
    flags: Mapping[str, SettingValue] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Config:
    """Read everything. `flags` are what the command line gave (None values count as not given).

    `environ` and `directory` stand for the process's own environment and working directory.
    Raises ConfigError with file, line and column for what does not parse or fit.
    """
    user, project = user_file(), project_file(directory)
    layers: list[dict[str, Value]] = [
        _from_flags(flags or {}),
        _from_environment(os.environ if environ is None else environ),
    ]
    warnings: list[str] = []
    targets: dict[str, TargetEntry] = {}
    files: list[dict[str, Value]] = []
    for path, kind in ((user, "user"), (project, "project")):
        if path is not None:
            origin = Origin("project" if kind == "project" else "user", str(path))
            files.insert(0, _from_file(path, origin, targets, warnings))
    layers += files
    values = {name: _first(name, layers) for name in SETTINGS}
    own = _first("target", [layers[0], layers[1], files[-1]])
    return Config(values, targets, user, project, own, tuple(warnings))


def _first(name: str, layers: list[dict[str, Value]]) -> Value:
    for layer in layers:
        if name in layer:
            return layer[name]
    return Value(SETTINGS[name].default, Origin("default"))


def _from_flags(flags: Mapping[str, SettingValue]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name, given in flags.items():
        if given is None:
            continue
        if name not in SETTINGS:
            raise unknown_key(name)
        found[name] = Value(_read(SETTINGS[name], given, f"--{name.replace('_', '-')}"), Origin("flag"))
    return found


def _from_environment(environ: Mapping[str, str]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for item in VARIABLES:
        text = environ.get(item.name, "")
        if not text or item.setting is None or item.setting in found:
            continue
        value = _read(SETTINGS[item.setting], item.means or text, item.name)
        found[item.setting] = Value(value, Origin("environment", item.name))
    return found


def _from_file(path: Path, origin: Origin, targets: dict[str, TargetEntry], warnings: list[str]) -> dict[str, Value]:
    text, tables = document.read(path)
    found: dict[str, Value] = {}
    for key, given in tables.items():
        if key == "targets":
            _targets(path, text, given, origin, targets)
        elif key in SETTINGS:
            found[key] = Value(_read(SETTINGS[key], given, key, path, text, (key,)), origin)
        else:
            warnings.append(f"{path}: {unknown_key(key)}")
    return found


def _targets(path: Path, text: str, given: object, origin: Origin, targets: dict[str, TargetEntry]) -> None:
    if not isinstance(given, dict):
        raise _unfit(path, text, ("targets",), "a table of tables: [targets.NAME]")
    for name, entry in cast("dict[str, Any]", given).items():
        if not isinstance(entry, dict) or "url" not in entry:
            raise _unfit(path, text, ("targets", name), 'a table with at least url = "https://…"')
        fields = cast("dict[str, Any]", entry)
        read = {
            key: _read(TARGET_FIELDS[key], value, f"targets.{name}.{key}", path, text, ("targets", name, key))
            for key, value in fields.items()
            if key in TARGET_FIELDS
        }
        url, model = cast("str", read["url"]), cast("str | None", read.get("model"))
        before = targets.get(name)
        shadowed = before.url if before is not None and before.url != url else None
        targets[name] = TargetEntry(name, url, model, origin, shadowed)


def _read(
    setting: Setting,
    given: object,
    name: str,
    path: Path | None = None,
    text: str = "",
    keys: tuple[str, ...] = (),
) -> SettingValue:
    try:
        return setting.read(given)
    except ValueError as error:
        if path is not None:
            raise _unfit(path, text, keys, str(error)) from error
        raise ConfigError(f"{name} must be {error}", key=setting.name, hint=f"set {name} to {error}") from error


def _unfit(path: Path, text: str, keys: tuple[str, ...], words: str) -> ConfigError:
    name = ".".join(keys)
    line = document.line_of(text, keys)
    place = f"{path}, line {line}" if line else str(path)
    return ConfigError(
        f"{place}: {name} must be {words}",
        file=str(path),
        line=line,
        column=1 if line else None,
        key=name,
        hint=f"mend {name} in {path}",
    )
