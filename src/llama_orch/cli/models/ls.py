# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch models ls`: the models of the store, of a target, or those that other programs keep here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from llama_orch.cli.command import Command
from llama_orch.cli.models.row import KEYS, for_people, one_line, remember, row, store
from llama_orch.cli.options import Printing, flag, option

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.models.found import Finding, FoundModel
    from llama_orch_utils import ModelInfo

APPS = ("ollama", "lm-studio", "hugging-face")


@dataclass(frozen=True, kw_only=True)
class Ls(Printing):
    """List the models of this machine, or of a target.

    With --target, the JSON keys are id, owned_by, context, capabilities, pricing (input, cached, output and embeddings
    in micro-euros per million tokens, gpu_second, currency; or null) and target.

    With --found, they are id (what it would be called here), app, name (what the program calls it), size, linked (its
    name here, if it has one), path, projector and problem (why it cannot be linked). Nothing is changed.
    """

    target: str | None = option(
        "-t", "--target", value="TARGET", help="list what this target serves instead", complete="target"
    )
    found: bool = flag("--found", help="list what Ollama, LM Studio and the Hugging Face cache have")
    app: str | None = option("--from", value="APP", help="with --found: only this program's", choices=APPS)


def ls(options: Ls, out: Output) -> None:
    """The models of the store, of a target, or of other programs."""
    from llama_orch.cli.failure import UsageError
    from llama_orch.cli.output import size

    if options.target and (options.found or options.app):
        raise UsageError("--target and --found do not go together", hint="orch models ls --found")
    if options.target:
        _ls_of(options.target, out)
        return
    if options.found or options.app:
        _found(options.app, out)
        return
    models = store().list()
    remember(models)
    rows = [row(model) for model in models]
    shown = [for_people(each) for each in rows] if out.mode == "human" else rows
    out.table(shown, {"id": None, "size": size, "path": None}, key="id", empty="no models")
    for each in rows if out.mode == "human" else ():
        if not each["present"]:
            out.warn(f"a file of {each['id']} is gone: {one_line(each['path'])}", f"orch models verify {each['id']}")


def found_row(model: FoundModel) -> dict[str, object]:
    """A model of another program as a row."""
    return {
        "id": model.id,
        "app": model.app,
        "name": model.label,
        "size": model.size,
        "linked": model.linked,
        "path": str(model.weights[0]) if model.weights else None,
        "projector": str(model.projector) if model.projector else None,
        "problem": model.problem,
    }


def warn_unreadable(finding: Finding, out: Output) -> None:
    """Says which folders could not be looked at."""
    import shlex

    for app, folder, why in finding.unreadable:
        out.warn(f"{app}: cannot look into {one_line(str(folder))}: {why}", f"ls -ld {shlex.quote(str(folder))}")


def _found(app: str | None, out: Output) -> None:
    from llama_orch.cli.output import size
    from llama_orch.models.found import find

    finding = find(store().list(), app)
    warn_unreadable(finding, out)
    rows = [found_row(model) for model in finding.models]
    if out.mode == "quiet":
        rows = [each for each in rows if each["problem"] is None]
    columns = {"id": None, "app": None, "size": size, "linked": None, "name": None}
    shown = [for_people(each) for each in rows] if out.mode == "human" else rows
    out.table(shown, columns, key="id", empty="no models of Ollama, LM Studio or the Hugging Face cache")
    if out.mode == "human":
        _advise(finding, out)


def _advise(finding: Finding, out: Output) -> None:
    """What cannot be linked and why; how to link the rest."""
    for model in finding.models:
        if model.problem:
            out.note(f"{model.id} cannot be linked: {model.problem}")
    free = next((each for each in finding.models if not each.linked and not each.problem), None)
    if free:
        out.note(f"use one where it lies: orch models link --found {free.id}")


def _ls_of(target: str, out: Output) -> None:
    from llama_orch_utils import Client

    with Client(target) as client:
        rows = [_served(each, target) for each in client.models()]
    columns: dict[str, Callable[[object], str] | None] = {"id": None, "context": None, "capabilities": _listed}
    if any(each["pricing"] for each in rows):
        columns["pricing"] = _priced
    out.table(rows, columns, key="id", empty=f"{target} serves no model")


def _served(model: ModelInfo, target: str) -> dict[str, object]:
    return {
        "id": model.id,
        "owned_by": model.owned_by,
        "context": model.context,
        "capabilities": None if model.capabilities is None else sorted(model.capabilities),
        "pricing": None if model.pricing is None else asdict(model.pricing),
        "target": target,
    }


def _listed(value: object) -> str:
    return ", ".join(cast("list[str]", value or []))


def _priced(value: object) -> str:
    """Input and output, for a million tokens, and a GPU's hour."""
    from llama_orch_utils import Pricing

    return Pricing(**cast("dict[str, Any]", value)).words() if value else ""


LS = Command(
    "models ls",
    Ls,
    ls,
    ("orch models ls", "orch models ls --json", "orch models ls --found", "orch models ls -t public"),
    KEYS,
)
