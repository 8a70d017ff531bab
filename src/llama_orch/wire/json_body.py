# SPDX-License-Identifier: GPL-3.0-or-later
"""A request body as checked JSON (RFC 8259): what gets through here can be walked, printed and encoded safely."""

from __future__ import annotations

import json
import math
from typing import TypeAlias

from llama_orch_utils.errors import BadRequest

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

MAX_DEPTH = 100
MAX_POINTER = 200


class _Repeating(dict[str, Json]):
    """An object that names `twice` more than once."""

    twice: str = ""


def parse(body: bytes) -> dict[str, Json]:
    """The JSON object in `body`.

    Raises BadRequest, with the JSON pointer (RFC 6901) where there is one, for: invalid UTF-8, malformed JSON, NaN and
    infinities, numbers beyond a double, more than 100 levels, a repeated key, half a surrogate pair, a body that is no
    object.
    """
    try:
        value: Json = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise _malformed(f"the body is not UTF-8: byte {error.start} is out of place") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _malformed(f"the body is not JSON: {error.msg} at {place}") from error
    except RecursionError as error:
        raise _malformed(f"the body is nested deeper than {MAX_DEPTH} levels") from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise _malformed("the body holds a number that is too long") from error
    if not isinstance(value, dict):
        raise _malformed("the body is JSON, but not an object", "")
    if not _is_sound(value):  # only now is it worth knowing where everything stands
        _check(value)
    return value


def pointer(parent: str, name: str | int) -> str:
    """The JSON pointer of member `name` below `parent`, cut at 200 characters."""
    escaped = str(name).replace("~", "~0").replace("/", "~1")
    return f"{parent}/{escaped}"[:MAX_POINTER].encode("utf-8", "replace").decode()


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeating, seen = _Repeating(found), set[str]()
    for name, _ in pairs:
        if name in seen:
            repeating.twice = name
        seen.add(name)
    return repeating


def _no_constant(word: str) -> Json:
    raise _malformed(f"the body holds {word}, which is no JSON number")


def _is_sound(value: dict[str, Json]) -> bool:
    """Whether `_check` would let the value through, without a pointer for each of its members."""
    level: list[dict[str, Json] | list[Json]] = [value]
    for _ in range(MAX_DEPTH):
        inner: list[dict[str, Json] | list[Json]] = []
        for item in level:
            if isinstance(item, dict):
                if isinstance(item, _Repeating) or not all(map(_is_text, item)):
                    return False
                members = item.values()
            else:
                members = item
            for member in members:
                if isinstance(member, str):
                    if not _is_text(member):
                        return False
                elif isinstance(member, dict | list):
                    inner.append(member)
                elif isinstance(member, float) and not math.isfinite(member):
                    return False
        if not inner:
            return True
        level = inner
    return False


def _is_text(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _check(value: Json) -> None:
    pending: list[tuple[Json, str, int]] = [(value, "", 1)]
    while pending:
        item, where, depth = pending.pop()
        if isinstance(item, str):
            _check_text(item, where)
        elif isinstance(item, float) and not math.isfinite(item):
            raise _malformed("the number does not fit a double", where)
        elif isinstance(item, dict | list):
            if depth > MAX_DEPTH:
                raise _malformed(f"the body is nested deeper than {MAX_DEPTH} levels", where)
            pending += _members(item, where, depth)


def _members(item: dict[str, Json] | list[Json], where: str, depth: int) -> list[tuple[Json, str, int]]:
    if isinstance(item, list):
        return [(member, pointer(where, index), depth + 1) for index, member in enumerate(item)]
    if isinstance(item, _Repeating):
        raise _malformed("the key is given more than once", pointer(where, item.twice))
    for name in item:
        _check_text(name, where)
    return [(member, pointer(where, name), depth + 1) for name, member in item.items()]


def _check_text(text: str, where: str) -> None:
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _malformed("the text holds half of a surrogate pair, which is no character", where) from error


def _malformed(message: str, where: str | None = None) -> BadRequest:
    return BadRequest(message, param=where or None, code="invalid_json")
