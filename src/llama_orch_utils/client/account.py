# SPDX-License-Identifier: Apache-2.0
"""From a tap's JSON about money to our records."""

from __future__ import annotations

from typing import Any, Literal, cast

from llama_orch_utils.account import Credits, Grant, Pricing, UsageReport, UsageRow
from llama_orch_utils.errors import BadRequest, InvalidAnswer, OrchError, RequestError, UnsupportedByTarget

Json = dict[str, Any]
GroupBy = Literal["day", "model", "key"]
MOST_DAYS = 3660
_DATE = len("2026-11-21")
_UNSERVED = (404, 405, 501)


def credits_of(raw: Json) -> Credits:
    """The record of `GET /v1/credits`. Raises InvalidAnswer with a pointer to what is odd."""
    grants = raw.get("grants")
    entries = cast("list[object]", grants) if isinstance(grants, list) else []
    return Credits(
        balance=_whole(raw, "balance"),
        reserved=_whole(raw, "reserved"),
        currency=str(raw.get("currency") or "EUR"),
        paused=raw.get("paused") is True,
        grants=tuple(_grant(cast("Json", entry), place) for place, entry in enumerate(entries)),
        next_expiry=_text(raw.get("next_expiry")),
        warnings=tuple(str(each) for each in cast("list[object]", raw.get("warnings") or [])),
    )


def report_of(raw: Json) -> UsageReport:
    """The record of `GET /v1/usage`. Raises InvalidAnswer with a pointer to what is odd."""
    group = str(raw.get("group_by") or "day")
    rows = raw.get("rows")
    if not isinstance(rows, list):
        raise InvalidAnswer("the usage holds no rows", pointer="/rows")
    found = tuple(_row(cast("Json", each), group, f"/rows/{n}") for n, each in enumerate(cast("list[object]", rows)))
    total = raw.get("total")
    return UsageReport(
        rows=found,
        total=_row(cast("Json", total), group, "/total") if isinstance(total, dict) else _sum(found),
        group_by=group,
        start=str(raw.get("from") or "")[:_DATE],
        end=_last_day(str(raw.get("to") or "")),
        currency=str(raw.get("currency") or "EUR"),
    )


def usage_path(days: int, group_by: GroupBy) -> str:
    """The path that asks for the usage of the last `days` days, today included. Raises BadRequest."""
    import datetime as dt

    if not 1 <= days <= MOST_DAYS:
        raise BadRequest(f"{days} days; it must be between 1 and {MOST_DAYS}", param="/days")
    if group_by not in ("day", "model", "key"):
        raise BadRequest(f"usage is grouped by day, model or key, not {group_by!r}", param="/group_by")
    today = dt.datetime.now(dt.UTC).date()
    start = today - dt.timedelta(days=days - 1)
    return f"/usage?from={start.isoformat()}&to={today.isoformat()}&group_by={group_by}"


def pricing_of(entry: Json) -> Pricing | None:
    """The prices of a model in a target's list; None where it tells none."""
    told = entry.get("pricing")
    if not isinstance(told, dict):
        return None
    fields = cast("Json", told)
    names = ("input", "cached", "output", "embeddings", "gpu_second")
    numbers = [fields.get(name, 0) for name in names]
    if any(isinstance(each, bool) or not isinstance(each, int) or each < 0 for each in numbers):
        return None  # OpenRouter's are decimal dollars per token: another thing under the same name
    return Pricing(*numbers[:4], currency=str(fields.get("currency") or "EUR"), gpu_second=numbers[4])


def unserved(error: OrchError, target: str) -> OrchError:
    """The error for a target that has no accounts at all, instead of its 404; any other as it is."""
    if isinstance(error, RequestError) and error.status in _UNSERVED:
        return UnsupportedByTarget(
            f"{target} keeps no account: nothing is charged there",
            capability="credits",
            hint="orch target ls",
            target=target,
        )
    return error


def _last_day(to: str) -> str:
    """The date of the last moment before `to`; a date stays what it is."""
    import datetime as dt

    if len(to) <= _DATE:
        return to
    try:
        return (dt.datetime.fromisoformat(to) - dt.timedelta(seconds=1)).date().isoformat()
    except (ValueError, OverflowError):
        raise InvalidAnswer("the usage has no last day", pointer="/to") from None


def _grant(entry: Json, place: int) -> Grant:
    where = f"/grants/{place}"
    return Grant(
        id=str(entry.get("id") or ""),
        kind=str(entry.get("kind") or ""),
        amount=_whole(entry, "amount", where),
        remaining=_whole(entry, "remaining", where),
        granted_at=str(entry.get("granted_at") or ""),
        expires_at=_text(entry.get("expires_at")),
    )


def _row(entry: Json, group: str, where: str) -> UsageRow:
    names = ("requests", "input_tokens", "cached_tokens", "output_tokens", "cost")
    return UsageRow(str(entry.get(group) or ""), *(_whole(entry, name, where) for name in names))


def _sum(rows: tuple[UsageRow, ...]) -> UsageRow:
    names = ("requests", "input_tokens", "cached_tokens", "output_tokens", "cost")
    return UsageRow("", *(sum(getattr(row, name) for row in rows) for name in names))


def _whole(entry: Json, name: str, where: str = "") -> int:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidAnswer(f"{name} is no whole number", pointer=f"{where}/{name}")
    return value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
