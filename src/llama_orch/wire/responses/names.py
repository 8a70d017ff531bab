# SPDX-License-Identifier: GPL-3.0-or-later
"""Tools that are grouped in a namespace, under the flat names that models know."""

from __future__ import annotations

SEPARATOR = "__"


def flat_name(namespace: str, name: str) -> str:
    """The name that the model sees of the tool `name` in `namespace`."""
    return namespace + name if namespace.endswith(SEPARATOR) else namespace + SEPARATOR + name
