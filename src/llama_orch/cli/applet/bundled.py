# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch applet install BUNDLE`: every applet of it, or none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llama_orch_utils.errors import AppletError

if TYPE_CHECKING:
    from llama_orch.applets.record import Record
    from llama_orch.cli.output import Output


def install_bundle(source: str, signer: str | None, out: Output, *, yes: bool) -> None:
    """Checked, shown, asked, installed."""
    from llama_orch.applets import install as installing
    from llama_orch.applets.bundle.opening import opened
    from llama_orch.cli.applet import showing

    added: list[Record] = []
    with opened(Path(source), signer) as bundle:
        for offer in bundle.offers:
            installing.check_free(offer)
            showing.ask(offer.brought, source, out, yes=yes, signer=bundle.signer)
        try:
            for offer in bundle.offers:
                record = installing.add(offer, out.note, signer=bundle.signer, brand=bundle.brand, icon=bundle.icon)
                added.append(record)
        except BaseException:
            for record in added:
                installing.remove(record.id)
            raise
    out.table(
        [showing.row_of(each) for each in added], {"id": None, "version": None, "signer": None}, key="id", empty=""
    )


def upgrade_from(old: Record, source: str, signer: str | None, out: Output, *, yes: bool) -> None:
    """The applet of that id in a bundle, which the same key must have signed unless `signer` names another."""
    from llama_orch.applets import install as installing
    from llama_orch.applets.bundle.opening import opened
    from llama_orch.cli.applet import showing

    with opened(Path(source), signer or old.signer or None) as bundle:
        offer = next((each for each in bundle.offers if each.brought.manifest.id == old.id), None)
        if offer is None:
            raise AppletError(f"{source} brings no {old.id}", hint="orch applet ls")
        showing.ask(offer.brought, source, out, yes=yes, signer=bundle.signer)
        record = installing.exchange(old, offer, out.note, signer=bundle.signer, brand=bundle.brand, icon=bundle.icon)
    out.note(f"{old.version} -> {record.version}")
    showing.told(replace(record), out)
