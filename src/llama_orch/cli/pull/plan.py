# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch pull --dry-run`: what would be fetched, under which licence, and whether this machine has room for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.models import Store
    from llama_orch.models.download import Web
    from llama_orch.models.pull import Plan
    from llama_orch_utils.errors import OrchError


def show_plan(plan: Plan, store: Store, web: Web, out: Output) -> int:
    """Prints the plan; the exit code is 0, or that of the refusal where the files or the name may not be had."""
    from llama_orch.cli.failure import exit_code
    from llama_orch.cli.output import size
    from llama_orch.models.pull.fit import fit

    found = fit(plan, store, web)
    row: dict[str, object] = {
        "id": plan.name,
        "source": plan.source,
        "quantisation": plan.quantisation,
        "licence": plan.licence,
        "gated": plan.gated,
        "size": plan.size,
        "to_fetch": plan.missing,
        "disk_free": found.disk_free,
        "context": found.context or plan.context,
        "memory_needed": found.memory_needed,
        "estimated_from": found.by,
        "memory_free": found.memory_free,
        "fits": found.fits,
        "files": [
            {
                "name": each.file.name,
                "role": each.file.role,
                "part": each.file.part,
                "size": each.file.size,
                "digest": each.file.digest,
                "state": each.state,
                "begun": each.begun,
            }
            for each in plan.files
        ],
    }
    if out.mode == "human":
        for key in ("size", "to_fetch", "disk_free", "memory_needed", "memory_free"):
            row[key] = size(row[key]) if row[key] is not None else "not known"
        row["files"] = [f"{each.file.name} ({_state(each.state, each.begun)})" for each in plan.files]
    out.record(row, key="id")
    out.note(found.words)
    refused = found.refused or _name_taken(plan, store)
    if refused is not None:
        out.warn(refused.message, refused.hint)
    return 0 if refused is None else exit_code(refused)


def _name_taken(plan: Plan, store: Store) -> OrchError | None:
    """Why the name cannot be had; the dry run fails where the pull would."""
    from llama_orch.models.pull.pull import standing
    from llama_orch_utils.errors import BadRequest

    if standing(store, plan) is not None:
        return None
    try:
        store.check_installable(plan.name, plan.source)
    except BadRequest as error:
        return error
    return None


def _state(state: str, begun: int) -> str:
    words = {"held": "here", "cached": "in the cache of huggingface_hub", "copy": "to be copied", "fetch": "to fetch"}
    return "begun" if state == "fetch" and begun else words[state]
