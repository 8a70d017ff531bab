# SPDX-License-Identifier: GPL-3.0-or-later
"""Broken variants of good request bodies, to hold a parser against its own JSON Schema."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

_JUNK: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    1.5,
    2,
    3.0,
    2**31,
    1e300,
    "",
    "x",
    "5m",
    "text",
    "auto",
    "ü\n",
    [],
    ["x"],
    [None],
    {},
    {"type": "text"},
    {"type": "object"},
    {"x": 1},
]


@st.composite
def mutated(draw: st.DrawFn, bodies: list[Any]) -> Any:
    """One of `bodies` with one to three places changed: a member removed, replaced, added or doubled."""
    body = copy.deepcopy(draw(st.sampled_from(bodies)))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(body))
        holder, key = draw(st.sampled_from(places))
        if isinstance(holder, dict):
            _change_object(draw, holder, key)
        elif key < len(holder):
            _change_list(draw, holder, key)
    return body


def _places(value: Any) -> Any:
    if isinstance(value, dict):
        yield value, draw_name
        for key, member in value.items():
            yield value, key
            yield from _places(member)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield value, index
            yield from _places(member)


draw_name = object()
"""Stands for a member that is not there yet."""


def _change_object(draw: st.DrawFn, holder: dict[str, Any], key: Any) -> None:
    if key is draw_name:
        holder[draw(st.sampled_from(["unknown", "type", "name", "content", "text"]))] = copy.deepcopy(
            draw(st.sampled_from(_JUNK))
        )
    elif draw(st.booleans()):
        holder.pop(key, None)
    else:
        holder[key] = copy.deepcopy(draw(st.sampled_from(_JUNK)))


def _change_list(draw: st.DrawFn, holder: list[Any], index: int) -> None:
    action = draw(st.sampled_from(["drop", "replace", "double"]))
    if action == "drop":
        holder.pop(index)
    elif action == "double":
        holder.append(copy.deepcopy(holder[index]))
    else:
        holder[index] = copy.deepcopy(draw(st.sampled_from(_JUNK)))
