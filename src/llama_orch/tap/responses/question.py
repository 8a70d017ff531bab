# SPDX-License-Identifier: GPL-3.0-or-later
"""A query string's parameters by name and type."""

from __future__ import annotations

from urllib.parse import parse_qsl

from llama_orch_utils.errors import BadRequest

_MOST = 64
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


class Question:
    """Raises BadRequest for what cannot be read. Parameters that nobody asks for are left alone."""

    def __init__(self, query: bytes) -> None:
        try:
            pairs = parse_qsl(query.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST, errors="strict")
        except ValueError as error:
            raise BadRequest("the query string cannot be read", code="invalid_query") from error
        self._found = dict(pairs)

    def flag(self, name: str) -> bool:
        """True or false; false where it is not there."""
        value = _FLAGS.get(self._found.get(name, "false"))
        if value is None:
            raise BadRequest(f"{name} must be true or false", param=f"/{name}")
        return value

    def text(self, name: str, among: tuple[str, ...] = ()) -> str | None:
        """A text, one of `among` if given; None where it is not there."""
        value = self._found.get(name)
        if value is not None and among and value not in among:
            raise BadRequest(f"{name} must be {' or '.join(among)}", param=f"/{name}")
        return value

    def integer(self, name: str, low: int, high: int, *, usual: int) -> int:
        """A whole number within the bounds; `usual` where it is not there."""
        value = self._found.get(name)
        if value is None:
            return usual
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 18 and low <= int(value) <= high):  # noqa: PLR2004
            raise BadRequest(f"{name} must be a whole number between {low} and {high}", param=f"/{name}")
        return int(value)
