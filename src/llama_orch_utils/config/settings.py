# SPDX-License-Identifier: Apache-2.0
"""The settings: each declared once, with its type, default and help."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

SettingValue = str | int | float | bool | None

# targets, NAME, field; NAME may hold dots of its own.
TARGET_KEY_PARTS = 3
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `read` turns a TOML value, or the text of a variable or a command, into the value.

    It raises ValueError with words that fit behind "must be".
    """

    name: str
    help: str
    read: Callable[[object], SettingValue]
    default: SettingValue = None


def read_text(given: object) -> str:
    """A string that is not empty."""
    if not isinstance(given, str) or not given.strip():
        raise ValueError("a string that is not empty")
    return given


def read_duration(given: object) -> float:
    """Seconds: a number, or text such as `90s`, `5m`, `1.5h`."""
    if isinstance(given, (int, float)) and not isinstance(given, bool) and given >= 0:
        return float(given)
    found = _DURATION.fullmatch(given.strip()) if isinstance(given, str) else None
    if found is None:
        raise ValueError('seconds, or text such as "90s", "5m" or "1h"')
    return float(found[1]) * _SECONDS[found[2] or "s"]


def read_count(lowest: int) -> Callable[[object], int]:
    """A reader of whole numbers from `lowest` up."""

    def read(given: object) -> int:
        number = given
        if isinstance(given, str) and re.fullmatch(r"[+-]?\d{1,18}", given.strip()):
            number = int(given)
        if not isinstance(number, int) or isinstance(number, bool) or number < lowest:
            raise ValueError(f"a whole number, {lowest} or more")
        return number

    return read


def read_switch(given: object) -> bool:
    """True or false, or their usual words as text."""
    if isinstance(given, bool):
        return given
    word = given.strip().lower() if isinstance(given, str) else ""
    if word not in _TRUE | _FALSE:
        raise ValueError("true or false")
    return word in _TRUE


def read_word(*words: str) -> Callable[[object], str]:
    """A reader of one of `words`."""

    def read(given: object) -> str:
        if not isinstance(given, str) or given not in words:
            raise ValueError("one of " + ", ".join(words))
        return given

    return read


SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting(
            "target", "Where requests go: local, public, private:NAME, a named target or a URL.", read_text, "local"
        ),
        Setting("model", "The model, by name or as a path to a GGUF file.", read_text),
        Setting("keep_alive", "Seconds that a local worker stays after its last request.", read_duration, 300.0),
        Setting("context", "Tokens of context per sequence of a local worker.", read_count(1)),
        Setting("slots", "Sequences that a local worker decodes at once.", read_count(1)),
        Setting("threads", "CPU threads of a local worker.", read_count(1)),
        Setting("gpu_layers", "Layers on the GPU; -1 is all.", read_count(-1)),
        Setting("log", "Whether conversations are logged on this machine.", read_switch, default=True),
        Setting("color", "auto, always or never.", read_word("auto", "always", "never"), "auto"),
    )
}

TARGET_FIELDS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting("url", "The target's address, http or https.", read_text),
        Setting("model", "The model to use there unless another is named.", read_text),
    )
}


def declared(key: str) -> Setting | None:
    """The declaration of `key` (`model`, `targets.NAME.url`), or None."""
    parts = key.split(".")
    if parts[0] == "targets" and len(parts) >= TARGET_KEY_PARTS:
        return TARGET_FIELDS.get(parts[-1])
    return SETTINGS.get(key)
