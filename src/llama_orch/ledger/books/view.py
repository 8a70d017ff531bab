# SPDX-License-Identifier: GPL-3.0-or-later
"""How the records of the books are shown: the same in the command's JSON and in the admin API."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, cast


def shown(record: object) -> dict[str, Any]:
    """A record as JSON: names as they are, times (`…_at`) in ISO 8601 and UTC, digests left out."""
    assert is_dataclass(record)
    return {
        each.name: _value(each.name, getattr(record, each.name)) for each in fields(record) if each.name != "digest"
    }


def moment(seconds: float | None) -> str | None:
    """Unix seconds in ISO 8601 (UTC, whole seconds)."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _value(name: str, value: object) -> object:
    if name.endswith("_at"):
        return moment(cast("float | None", value))
    if isinstance(value, tuple):
        return [_value("", each) for each in cast("tuple[object, ...]", value)]
    if is_dataclass(value):
        return shown(value)
    return value
