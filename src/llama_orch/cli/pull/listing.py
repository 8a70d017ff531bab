# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch pull --list`: the catalogue, and which of it is here."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from llama_orch.cli.output import Output


def show_catalogue(out: Output) -> None:
    """A table of names with what there is to choose by."""
    from llama_orch.models import Store
    from llama_orch.models.catalogue import Catalogue

    here = {model.id for model in Store().list()}
    rows = [
        {
            "id": model.name,
            "title": model.title,
            "by": model.by,
            "parameters": model.parameters,
            "context": model.context,
            "licence": model.licence,
            "does": list(model.does),
            "quantisation": model.quantisation,
            "source": model.source().shown,
            "mine": model.mine,
            "present": model.name in here,
        }
        for model in Catalogue.read()
    ]
    columns = dict.fromkeys(cast("tuple[str, ...]", ("id", "parameters", "context", "licence", "does", "present")))
    out.table(rows, columns, key="id", empty="the catalogue is empty")
    out.note("orch pull NAME fetches one; hf://owner/repository means any GGUF of the hub")
