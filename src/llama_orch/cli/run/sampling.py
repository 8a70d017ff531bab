# SPDX-License-Identifier: GPL-3.0-or-later
"""`-o key=value`: the sampling options as OpenAI and llama.cpp name them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from llama_orch.cli.failure import UsageError


def _whole(text: str) -> int:
    return int(text)


def _switch(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


def _json(text: str) -> object:
    import json

    return json.loads(text)


def _number(text: str) -> float:
    value = float(text)
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - not a number
        raise ValueError(text)
    return value


_WORDS: dict[Callable[[str], object], str] = {
    _whole: "a whole number",
    _number: "a number",
    _switch: "true or false",
    _json: "JSON",
    str: "text",
}

# Options of the SDK's own (`ChatOptions`).
_NAMED: dict[str, Callable[[str], object]] = {
    "temperature": _number,
    "top_p": _number,
    "max_tokens": _whole,
    "stop": str,
    "seed": _whole,
    "frequency_penalty": _number,
    "presence_penalty": _number,
    "logit_bias": _json,
    "reasoning_effort": str,
    "tool_choice": str,
    "parallel_tool_calls": _switch,
}
# What a command line says in another way, or has no place for.
_ELSEWHERE: dict[str, tuple[str, str]] = {
    "model": ("is -m", "orch run -m MODEL ..."),
    "messages": ("is the question itself, and what -c goes on with", "orch run 'the question'"),
    "system": ("is -s", "orch run -s 'Answer in one sentence.' ..."),
    "stream": ("is --no-stream", "orch run --no-stream ..."),
    "stream_options": ("is -u", "orch run -u ..."),
    "tools": ("is --tool", "orch run --tool FILE.py:FUNC ..."),
    "response_format": ("is --schema", "orch run --schema 'name, age int' ..."),
    "n": ("would be thrown away: orch run shows one answer", "run it again, with another -o seed=N"),
    "logprobs": ("would be thrown away: orch run shows the text alone", "answer.raw of the SDK has them"),
    "top_logprobs": ("would be thrown away: orch run shows the text alone", "answer.raw of the SDK has them"),
}
# What llama.cpp's server knows besides: sent as it is.
_FURTHER: dict[str, Callable[[str], object]] = {
    "top_k": _whole,
    "min_p": _number,
    "typical_p": _number,
    "repeat_penalty": _number,
    "repeat_last_n": _whole,
    "grammar": str,
    "cache_prompt": _switch,
}


def read(given: Iterable[str]) -> dict[str, Any]:
    """The options by name, `extra` among them for what the SDK has no argument for. `stop` may come again.

    A name that is near to a known one is taken for a slip; any other unknown name goes to the target as it is, its
    value as JSON if it is some. Raises UsageError.
    """
    found: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals or not name:
            raise UsageError(f"-o needs KEY=VALUE, not '{each}'", hint="orch run -o temperature=0.7 'Hello'")
        if name in _ELSEWHERE:
            words, hint = _ELSEWHERE[name]
            raise UsageError(f"-o {name} {words}", hint=hint)
        if name == "stop":
            found.setdefault("stop", []).append(text)
        elif reader := _NAMED.get(name):
            found[name] = _value(name, text, reader)
        elif reader := _FURTHER.get(name):
            extra[name] = _value(name, text, reader)
        else:
            extra[name] = _unknown(name, text)
    return {**found, "extra": extra} if extra else found


def _value(name: str, text: str, reader: Callable[[str], object]) -> object:
    try:
        return reader(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"-o {name} needs {_WORDS[reader]}, not '{text}'", hint="orch run --help") from error


def _unknown(name: str, text: str) -> object:
    from llama_orch.cli.suggest import nearest

    near = nearest(name, (*_NAMED, *_FURTHER))
    if near:
        raise UsageError(f"-o has no '{name}'; did you mean '{near[0]}'?", hint=f"orch run -o {near[0]}={text}")
    try:
        return _json(text)
    except (ValueError, RecursionError):
        return text
