# SPDX-License-Identifier: GPL-3.0-or-later
"""`--schema`: a JSON Schema from a file or the command line, or its short form, as a response format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from llama_orch.cli.failure import UsageError
from llama_orch.cli.output import one_line
from llama_orch_utils.errors import BadRequest, InvalidAnswer

_HINT = """orch run --schema 'name, wingspan float: in metres' 'Name a bird'"""


def response_format(given: str) -> dict[str, Any]:
    """The response format that asks for an answer by the schema in the text or the file `given`. Raises UsageError."""
    text = given.strip()
    if not text:
        raise UsageError("--schema is empty", hint=_HINT)
    if not text.startswith("{"):
        from llama_orch_utils.structured import concise

        if not _is_file(text) and concise.looks_concise(text):
            return _form(_short_form(text))
        return _form(_parsed(_content(given), given))
    return _form(_parsed(text, "--schema"))


def check_whole(text: str, finish_reason: str, tokens: int, most: int | None = None) -> None:
    """Raises InvalidAnswer for an answer that was cut, or is no JSON; `most` is the max_tokens that was asked for."""
    if finish_reason == "length":
        raise InvalidAnswer(
            f"the answer was cut after {tokens} tokens, so it is no whole JSON: {one_line(text)}",
            text=text,
            hint=_more_room(tokens, most),
        )
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidAnswer(
            f"the answer is no JSON ({error}): {one_line(text)}",
            text=text,
            hint="this target does not hold its answers to a schema; the local one does: --target local",
        ) from error


def _more_room(tokens: int, most: int | None) -> str:
    """What ended the answer: its own limit, or the context."""
    if most is not None and tokens >= most:
        return f"more room: -o max_tokens={max(2048, 2 * most)}"
    return "the context was full; more room: --context 8192 (if the model can)"


def _is_file(name: str) -> bool:
    try:
        return Path(name).expanduser().exists()
    except (OSError, RuntimeError):  # too long for a name, or nobody's home
        return False


def _content(name: str) -> str:
    try:
        return Path(name).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read the schema {name}: {error.strerror}", hint=_HINT) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the schema {name} is not UTF-8 text", hint=_HINT) from error


def _short_form(text: str) -> dict[str, Any]:
    from llama_orch_utils.structured import concise

    try:
        return concise.read(text)
    except BadRequest as error:
        raise UsageError(f"--schema: {error.message}", hint=_HINT) from error


def _parsed(text: str, place: str) -> dict[str, Any]:
    try:
        schema: object = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"{place} is no JSON: {where}: {error.msg}", hint=_HINT) from error
    except RecursionError as error:
        raise UsageError(f"{place} is nested too deeply", hint=_HINT) from error
    if not isinstance(schema, dict):
        raise UsageError(f"{place} is no JSON object", hint=_HINT)
    return cast("dict[str, Any]", schema)


def _form(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
