# SPDX-License-Identifier: Apache-2.0
"""The settings: each declared once, with its type, default and help."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

# As llama.cpp's tools name them (common/arg.cpp, kv_cache_types).
CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
SettingValue = str | int | float | bool | None

# targets, NAME, field; NAME may hold dots of its own.
TARGET_KEY_PARTS = 3
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SCALED = re.compile(r"=-?\d+(\.\d*)?\s*$")
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


def read_number(lowest: float) -> Callable[[object], float]:
    """A reader of numbers above `lowest`."""

    def read(given: object) -> float:
        try:
            number = float(given) if isinstance(given, (str, int, float)) and not isinstance(given, bool) else lowest
        except ValueError:
            number = lowest
        if not lowest < number < float("inf"):
            raise ValueError(f"a number, more than {lowest:g}")
        return number

    return read


def read_numbers(given: object) -> tuple[int, ...]:
    """The numbers in `0,2`: whole, each once."""
    parts = [each.strip() for each in str(given).split(",")] if isinstance(given, (str, int)) else [""]
    if isinstance(given, bool) or not all(re.fullmatch(r"\d{1,4}", each) for each in parts):
        raise ValueError('numbers of GPUs, such as "0" or "0,2"')
    found = tuple(int(each) for each in parts)
    if len(set(found)) < len(found):
        raise ValueError('numbers of GPUs, each once, such as "0,2"')
    return found


def read_shares(given: object) -> tuple[float, ...]:
    """The shares in `3,1`: none below 0, not all 0."""
    try:
        found = tuple(float(each) for each in given.split(",")) if isinstance(given, str) else ()
    except ValueError:
        found = ()
    if not found or not all(0 <= each < float("inf") for each in found) or not any(found):
        raise ValueError('a share for each GPU, such as "3,1"')
    return found


def read_adapters(given: object) -> tuple[tuple[str, float], ...]:
    """The LoRA adapters in `a.gguf,b.gguf=0.5`: files with their scales, 1 unless given."""
    found: list[tuple[str, float]] = []
    for part in given.split(",") if isinstance(given, str) else [""]:
        path, _, scale = part.strip().rpartition("=") if _SCALED.search(part) else (part.strip(), "", "1")
        if not path:
            raise ValueError('adapter files with their scales, such as "a.gguf" or "a.gguf=0.5,b.gguf"')
        found.append((path, float(scale)))
    return tuple(found)


def checked(reader: Callable[[object], object]) -> Callable[[object], str]:
    """A reader that keeps the text that `reader` takes: lists stay text in the files, and are read where they count."""

    def read(given: object) -> str:
        reader(given)
        return str(given)

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
        Setting("gpu", "auto, require (all layers on GPUs, or an error) or off.", read_word("auto", "require", "off")),
        Setting("gpus", 'Which GPUs, by number: "0,2".', checked(read_numbers)),
        Setting("split", "How several GPUs share a model: none, layer or row.", read_word("none", "layer", "row")),
        Setting("tensor_split", 'The share of each GPU: "3,1".', checked(read_shares)),
        Setting("cache_type_k", "ggml's type of the cached keys: f16, q8_0, ...", read_word(*CACHE_TYPES)),
        Setting("cache_type_v", "ggml's type of the cached values: f16, q8_0, ...", read_word(*CACHE_TYPES)),
        Setting("flash_attention", "auto, on or off.", read_word("auto", "on", "off")),
        Setting("rope_scaling", "How the context is extended.", read_word("none", "linear", "yarn")),
        Setting("rope_scale", "By how much the context is extended.", read_number(0)),
        Setting("yarn_original_context", "Tokens that a model was trained on, for yarn.", read_count(1)),
        Setting("loras", 'LoRA adapters: "a.gguf,b.gguf=0.5".', checked(read_adapters)),
        Setting("draft", "A smaller model that proposes tokens, by name or as a path to a GGUF file.", read_text),
        Setting("draft_tokens", "Tokens that the draft model proposes at most.", read_count(1)),
        Setting("projector", "The GGUF of a multimodal projector.", read_text),
        Setting("engine", "The managed build of llama.cpp (orch engine ls).", read_text),
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
