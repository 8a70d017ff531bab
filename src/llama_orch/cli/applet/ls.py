# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch applet ls`: the installed applets, and those beside `orch`; a broken one is one warning line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llama_orch.cli.applet.showing import KEYS, row_of
from llama_orch.cli.command import Command
from llama_orch.cli.options import Printing

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch_utils.applets.discovery import Found


@dataclass(frozen=True, kw_only=True)
class Ls(Printing):
    """List the applets: package, version, licence, what they may touch, and where they came from."""


def ls(_options: Ls, out: Output) -> None:
    """Every applet by its id."""
    from llama_orch.applets import catalogue, lock
    from llama_orch.cli.completion.names import remember

    records = lock.read()
    rows: list[dict[str, Any]] = []
    for found in catalogue.discover():
        if found.error is not None:
            out.warn(f"{found.error.message}; {found.error.hint}")
        record = records.get(found.name)
        if found.error is not None:
            rows.append(
                {**dict.fromkeys(KEYS), "id": found.name, "package": found.package, "error": found.error.message}
            )
        else:
            rows.append(row_of(record) if record is not None else _beside(found))
    good = [row for row in rows if row["error"] is None]
    remember(applets=[row["id"] for row in good])
    columns = {"id": None, "version": None, "licence": None, "permissions": None, "package": None, "source": None}
    out.table(rows if out.json else good, columns, key="id", empty="no applets are installed")


def _beside(found: Found) -> dict[str, Any]:
    """One in orch's own environment."""
    from llama_orch.applets import grants

    assert found.applet is not None
    manifest, holds = found.applet.manifest, grants.enforced()
    return {
        "id": found.name,
        "summary": manifest.summary,
        "package": found.package,
        "version": manifest.version,
        "licence": manifest.licence,
        "permissions": grants.asks(manifest),
        "source": "orch",
        "signer": None,
        "enforced": {"files": holds.files, "network": holds.network},
        "error": None,
    }


LS = Command("applet ls", Ls, ls, ("orch applet ls",), KEYS)
