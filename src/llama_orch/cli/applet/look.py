# SPDX-License-Identifier: GPL-3.0-or-later
"""What agents are shown of the brand of the applets that they are served: its name and its logo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_types import Icon

    from llama_orch.applets.record import Record
    from llama_orch_utils.applets.schema import Runnable


@dataclass(frozen=True, slots=True)
class Face:
    """A brand as a server shows it: `name` for programs, `title` for people, `foot` its support and legal lines."""

    name: str
    title: str
    foot: str
    icons: list[Icon] | None


def face_of(applets: Sequence[Runnable]) -> Face | None:
    """The brand that all of them are of; None where they are not all of one."""
    records = [_record(each) for each in applets]
    first = records[0] if records else None
    if first is None or not first.brand.get("name"):
        return None
    if any(each is None or each.brand != first.brand or each.signer != first.signer for each in records):
        return None
    title = first.brand["name"]
    name = "-".join("".join(each if each.isalnum() else " " for each in title.lower()).split())
    foot = "\n".join(filter(None, (first.brand.get("support", ""), first.brand.get("legal", ""))))
    return Face(name or "applets", title, foot, icons_of(applets[0]))


def icons_of(applet: Runnable) -> list[Icon] | None:
    """The logo of the bundle that it came with."""
    record = _record(applet)
    if record is None or not record.icon:
        return None
    from mcp_types import Icon

    kind = record.icon.removeprefix("data:").partition(";")[0]
    return [Icon(src=record.icon, mime_type=kind, sizes=["any"])]


def _record(applet: Runnable) -> Record | None:
    return getattr(applet, "record", None)
