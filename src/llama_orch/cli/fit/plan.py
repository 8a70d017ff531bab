# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch run --plan`: where the model would go, and what it would take there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from llama_orch.cli.failure import UsageError
from llama_orch.cli.fit import reckoning

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.cli.run.asking import Reaching


def plan(options: Reaching, out: Output) -> None:
    """A row for main memory and for each GPU; with --json the whole record. Nothing is loaded.

    Raises UsageError for a target that is not this machine, and as `reckoning.reckon` does.
    """
    from llama_orch.cli.output import size
    from llama_orch.models.store import Store

    wish = reckoning.settings(options)
    machine = reckoning.look(wish, out)
    found = reckoning.reckon(Store().resolve(_model(options)), wish, machine)
    if out.mode == "json":
        out.data(found)
        return
    draft = {"draft": size} if cast("dict[str, int]", found["memory"])["draft"] else {}
    columns = {"where": None, "layers": None, "weights": size, "cache": size, "compute": size, **draft, "need": size,
               "free": size, "fits": None}  # fmt: skip
    out.table(_rows(found, machine), columns, key="where", empty="")
    out.note(_words(found, required=wish.gpu == "require"))
    if machine.idle is not None:
        out.warn(machine.idle.cause, machine.idle.mend)


def _model(options: Reaching) -> str | None:
    from llama_orch_utils import config
    from llama_orch_utils.targets.choose import choose

    target = choose(None, config.load({"model": options.model, "target": options.target}))
    if not target.is_local:
        raise UsageError(
            f"--plan is about this machine, not about {target.name}", hint="orch run --target local --plan"
        )
    return target.model


def _rows(found: dict[str, object], machine: reckoning.Machine) -> list[dict[str, object]]:
    memory = cast("dict[str, int]", found["memory"])
    devices = cast("list[dict[str, Any]]", found["devices"])
    need = sum(memory.values())
    main: dict[str, object] = {
        "where": "CPU",
        "layers": cast("int", found["layers_total"]) - cast("int", found["layers_gpu"]),
        "weights": memory["mapped"] + memory["weights"] + memory["projector"],
        "cache": memory["cache"],
        "compute": memory["compute"] + memory["outputs"] + memory["work"] + memory["process"],
        "draft": memory["draft"],
        "need": need,
        "free": machine.available,
        "fits": need - memory["process"] <= machine.available,
    }
    return [main, *({**each, "where": each["name"]} for each in devices)]


def _words(found: dict[str, object], *, required: bool) -> str:
    most = found["most_context"]
    if required and not found["devices"]:
        return f"{found['model']} does not fit: --gpu require, and there is no GPU that llama.cpp can use"
    more = f"up to {most} tokens fit" if most else "no context fits"
    verdict = "fits" if found["fits"] else "does not fit"
    return f"{found['model']} {verdict}: {found['context']} tokens for each of {found['slots']} slots; {more}"
