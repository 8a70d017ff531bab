# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch models ls | show | rm | link`, and the words `ls`, `show` and `rm`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command, Group
from llama_orch.cli.options import Printing, argument, option

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.models import Store, StoredModel

_KEYS = {
    "id": "what -m takes",
    "path": "the GGUF file",
    "size": "bytes",
    "digest": "SHA-256 in hex, as it was linked",
    "demo": "whether it is the embedded demo",
    "linked_at": "ISO 8601, UTC",
    "present": "whether the file is there",
}


@dataclass(frozen=True, kw_only=True)
class Ls(Printing):
    """List the models of this machine, or of a target.

    With --target, the JSON keys are id, owned_by, context and target.
    """

    target: str | None = option(
        "-t", "--target", value="TARGET", help="list what this target serves instead", complete="target"
    )


@dataclass(frozen=True, kw_only=True)
class Show(Printing):
    """Show what a model's file says about it."""

    model: str = argument("MODEL", help="a name or the path of a GGUF file", complete="model")


@dataclass(frozen=True, kw_only=True)
class Rm(Printing):
    """Forget linked models; their files stay where they are."""

    models: tuple[str, ...] = argument("MODEL", help="names of linked models", many=True, complete="model")


@dataclass(frozen=True, kw_only=True)
class Link(Printing):
    """Give a GGUF file a name, and use it where it lies.

    Nothing is copied. The SHA-256 of the file is recorded, so that a file that changed later is noticed.
    """

    file: str = argument("FILE", help="a GGUF file", complete="file")
    name: str | None = option("-n", "--name", value="NAME", help="what to call it; the file's name if left out")


def ls(options: Ls, out: Output) -> None:
    """The models of the store, or those of a target."""
    from llama_orch.cli.output import size

    if options.target:
        _ls_of(options.target, out)
        return
    rows = [_row(model) for model in _store().list()]
    _remember(rows)
    out.table(rows, {"id": None, "size": size, "path": None}, key="id", empty="no models")


def show(options: Show, out: Output) -> None:
    """What the store and the GGUF metadata say about one model."""
    details = _store().show(options.model)
    described = {key: getattr(details, key) for key in _SHOW_KEYS if key not in _KEYS}
    out.record({**_row(details.model), **described}, key="id")


def rm(options: Rm, out: Output) -> None:
    """Forget each of the names; the first that is unknown ends it."""
    store = _store()
    removed = [_row(store.remove(name)) for name in dict.fromkeys(options.models)]
    _remember([_row(model) for model in store.list()])
    if out.mode == "human":
        for row in removed:
            out.note(f"forgot {row['id']}; the file stays: {row['path']}")
    else:
        out.table(removed, {}, key="id", empty="")


def link(options: Link, out: Output) -> None:
    """Name a file, with a bar while its digest is made."""
    from pathlib import Path

    from llama_orch.cli.progress import Bar

    store = _store()
    model = store.link(Path(options.file), options.name, Bar("sha256", quiet=out.quiet))
    _remember([_row(each) for each in store.list()])
    out.record(_row(model), key="id")
    out.note(f"ask it: orch run -m {model.id} 'Hello'")


def _ls_of(target: str, out: Output) -> None:
    from llama_orch_utils import Client

    with Client(target) as client:
        rows = [
            {"id": each.id, "owned_by": each.owned_by, "context": each.context, "target": target}
            for each in client.models()
        ]
    out.table(rows, {"id": None, "owned_by": None, "context": None}, key="id", empty=f"{target} serves no model")


def _store() -> Store:
    from llama_orch.models import Store

    return Store()


def _row(model: StoredModel) -> dict[str, object]:
    return {
        "id": model.id,
        "path": str(model.path),
        "size": model.size,
        "digest": model.digest,
        "demo": model.demo,
        "linked_at": model.linked_at,
        "present": model.path.exists(),
    }


def _remember(rows: list[dict[str, object]]) -> None:
    from llama_orch.cli.completion.names import remember

    remember(models=[str(row["id"]) for row in rows])


_SHOW_KEYS = {
    **_KEYS,
    "architecture": "as llama.cpp names it",
    "name": "the model's own name",
    "parameters": "how many weights",
    "quantisation": "type of most weights",
    "context": "tokens it was trained for",
    "chat_template": "whether the file carries one",
    "licence": "as the file names it",
    "layers": "blocks",
    "embedding": "width",
    "vocabulary": "tokens",
}

LS = Command("models ls", Ls, ls, ("orch models ls", "orch models ls --json", "orch models ls -t public"), _KEYS)
SHOW = Command("models show", Show, show, ("orch models show orch-demo",), _SHOW_KEYS)
RM = Command("models rm", Rm, rm, ("orch models rm my-model",), _KEYS)
LINK = Command("models link", Link, link, ("orch models link ~/models/qwen3-0.6b-q8_0.gguf -n qwen3:0.6b",), _KEYS)
MODELS = Group("models", "The models of this machine", (LS, SHOW, LINK, RM))
