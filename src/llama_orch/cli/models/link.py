# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch models link`: names for GGUF files where they lie, the user's own or another program's. Nothing is copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.models.ls import APPS, warn_unreadable
from llama_orch.cli.models.row import KEYS, for_people, next_step, remember, row, store
from llama_orch.cli.options import Printing, argument, flag, option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llama_orch.cli.output import Output
    from llama_orch.models import StoredModel
    from llama_orch.models.digest import Progress
    from llama_orch.models.found import FoundModel


@dataclass(frozen=True, kw_only=True)
class Link(Printing):
    """Give GGUF files names, and use them where they lie.

    Nothing is copied. The SHA-256 of a file is recorded, so that a file that changed later is noticed. Of a split GGUF
    any part will do.

    With --found, models of Ollama, LM Studio and the Hugging Face cache by the names that orch models ls --found shows,
    or --all of them; --from APP takes one program's only. With --json the keys below, as a list.
    """

    files: tuple[str, ...] = argument(
        "FILE", help="GGUF files; with --found, names", many=True, required=False, complete="file"
    )
    name: str | None = option("-n", "--name", value="NAME", help="what to call it; the file's name if left out")
    projector: str | None = option(
        "--projector", value="FILE", help="the GGUF that reads pictures for it", complete="file"
    )
    found: bool = flag("--found", help="link models of other programs")
    app: str | None = option("--from", value="APP", help="with --found: only this program's", choices=APPS)
    all: bool = flag("--all", help="with --found: all that can be linked")


def link(options: Link, out: Output) -> None:
    """Name files, with a bar while their digests are made."""
    from llama_orch.cli.failure import UsageError

    if (len(options.files) > 1 or options.all) and (options.name or options.projector):
        raise UsageError("--name and --projector belong to one FILE", hint="orch models link FILE --name NAME")
    found = options.found or options.app is not None
    if found and options.projector:
        raise UsageError("with --found, the projector comes along by itself", hint="orch models link --found NAME")
    if options.all and not found:
        raise UsageError("--all goes with --found", hint="orch models link --found --all")
    if found and options.all == bool(options.files):
        raise UsageError("with --found, name models or give --all", hint="orch models ls --found")
    if not found and not options.files:
        raise UsageError("orch models link needs FILE", hint="orch models link --help")
    linked = _of_others(options, out) if found else _own(options, out)
    _tell(linked, out, many=found or len(options.files) > 1)


def _own(options: Link, out: Output) -> list[StoredModel]:
    from pathlib import Path

    from llama_orch.cli.progress import Bar

    models, projector = store(), Path(options.projector) if options.projector else None
    linked = [
        models.link(Path(each), options.name, Bar("sha256", quiet=out.quiet), projector=projector)
        for each in options.files
    ]
    remember(models.list())
    return linked


def _of_others(options: Link, out: Output) -> list[StoredModel]:
    """The chosen ones; what cannot be linked ends it when it was named, and is told when all were meant."""
    from llama_orch.cli.progress import Bar
    from llama_orch.models.found import find
    from llama_orch_utils.errors import BadRequest, OrchError

    models = store()
    finding = find(models.list(), options.app)
    warn_unreadable(finding, out)
    chosen = [finding.named(name) for name in options.files]
    for model in chosen:
        if model.problem:
            raise BadRequest(
                f"{model.id} of {model.app} cannot be linked: {model.problem}", hint="orch models ls --found"
            )
    linked: list[StoredModel] = []
    for model in chosen or finding.models:
        if options.all and (model.problem or model.linked):
            continue
        try:
            linked.append(_link(model, options.name, Bar(model.id, quiet=out.quiet)))
        except OrchError as error:
            if not options.all:
                raise
            out.warn(f"{model.id} of {model.app} is left out: {error.message}")
    remember(models.list())
    return linked


def _link(model: FoundModel, name: str | None, bar: Progress) -> StoredModel:
    return store().link(
        model.weights[0],
        name or model.linked or model.id,
        bar,
        projector=model.projector,
        source=model.source,
    )


def _tell(linked: Sequence[StoredModel], out: Output, *, many: bool) -> None:
    if many:
        from llama_orch.cli.output import size

        rows = [row(model) for model in linked]
        shown = [for_people(each) for each in rows] if out.mode == "human" else rows
        out.table(shown, {"id": None, "size": size, "path": None}, key="id", empty="nothing new to link")
    else:
        out.record(for_people(row(linked[0])) if out.mode == "human" else row(linked[0]), key="id")
    if len(linked) == 1 and out.mode == "human":
        out.note(next_step(linked[0]))


LINK = Command(
    "models link",
    Link,
    link,
    (
        "orch models link ~/models/qwen3-0.6b-q8_0.gguf -n qwen3:0.6b",
        "orch models link --found qwen3:0.6b",
        "orch models link --found --all",
    ),
    KEYS,
)
