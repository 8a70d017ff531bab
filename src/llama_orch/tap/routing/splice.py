# SPDX-License-Identifier: GPL-3.0-or-later
"""Members of a JSON object set at the level of bytes: everything else of a request stays as the client wrote it."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]', re.DOTALL)
"""A string, or what gives a document its structure; numbers and words lie between."""
_OPENING, _CLOSING = b"{[", b"}]"


@functools.lru_cache(maxsize=256)
def quoted(name: str) -> bytes:
    """A model's name as JSON in UTF-8, as answers have it."""
    return json.dumps(name, ensure_ascii=False).encode("utf-8", "replace")


class Member(NamedTuple):
    """One member of an object: its name, where it begins, and where its value begins and ends."""

    name: str
    begin: int
    start: int
    end: int


def spliced(body: bytes, members: Mapping[str, bytes]) -> bytes:
    """`body`, a valid JSON object, with top-level `members` (name to JSON) put in, or in place of what was there."""
    missing = dict(members)
    cuts: list[tuple[int, int, bytes]] = []
    if any(_may_have(body, name) for name in members):
        for member in top_level(body):
            value = missing.pop(member.name, None)
            if value is not None:
                cuts.append((member.start, member.end, value))
    for start, end, value in reversed(cuts):
        body = body[:start] + value + body[end:]
    return _appended(body, missing) if missing else body


def without(body: bytes, name: str) -> bytes:
    """`body`, a valid JSON object, without its member `name` and the comma that belonged to it."""
    found = next((member for member in top_level(body) if member.name == name), None)
    if found is None:
        return body
    before, after = body[: found.begin].rstrip(), body[found.end :]
    if before.endswith(b","):
        return before[:-1] + after
    rest = after.lstrip()
    return before + (rest[1:] if rest.startswith(b",") else rest)


def top_level(body: bytes) -> Iterator[Member]:
    """The members of a valid JSON object."""
    depth, name, begin, start = 0, None, -1, -1
    key: re.Match[bytes] | None = None
    for found in _TOKEN.finditer(body):
        token = found[0]
        if token in _OPENING:
            depth += 1
        elif depth == 1 and token in (b",", b"}"):
            if name is not None:
                yield Member(name, begin, *_trimmed(body, start, found.start()))
            name = None
            depth -= token == b"}"
        elif token in _CLOSING:
            depth -= 1
        elif depth == 1 and token == b":" and name is None and key is not None:
            name, begin, start = str(json.loads(key[0])), key.start(), found.end()
        elif depth == 1:
            key = found


def _may_have(body: bytes, name: str) -> bool:
    """Whether a member `name` may be there: as it is written, or with an escape in it."""
    return b'"%b"' % name.encode() in body or b"\\u" in body


def _trimmed(body: bytes, start: int, end: int) -> tuple[int, int]:
    value = body[start:end]
    return start + len(value) - len(value.lstrip()), end - len(value) + len(value.rstrip())


def _appended(body: bytes, members: Mapping[str, bytes]) -> bytes:
    at = body.rindex(b"}")
    given = b", ".join(b"%b: %b" % (json.dumps(name).encode(), value) for name, value in members.items())
    return body[:at] + (b"" if body[:at].rstrip().endswith(b"{") else b", ") + given + body[at:]
