# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch models show`: what the store and the GGUF metadata say about one model. The metadata is anybody's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.models.row import KEYS, for_people, one_line, row, store
from llama_orch.cli.options import Printing, argument, flag

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.models.details import ModelDetails


@dataclass(frozen=True, kw_only=True)
class Show(Printing):
    """Show what a model's file says about it.

    With --template, only the text of its chat template, which is never run here.
    """

    model: str = argument("MODEL", help="a name or the path of a GGUF file", complete="model")
    template: bool = flag("--template", help="print the chat template")


def show(options: Show, out: Output) -> None:
    """Everything about one model, or its template."""
    details = store().show(options.model)
    if options.template:
        _template(details, out)
        return
    found = {**row(details.model), **_described(details)}
    out.record(found if out.mode == "json" else _for_people(found), key="id")


def _described(details: ModelDetails) -> dict[str, object]:
    plain = {key: getattr(details, key) for key in _PLAIN}
    files = [
        {
            "path": str(file.path),
            "role": file.role,
            "part": file.part,
            "size": file.size,
            "digest": file.digest,
            "owned": file.owned,
        }
        for file in details.model.files
    ]
    return {**plain, "capabilities": list(details.capabilities), "files": files, "template": details.template}


def _for_people(found: dict[str, object]) -> dict[str, object]:
    """No list of one, no template, every text of the file on one line and not longer than a paragraph."""
    from llama_orch.cli.output import size

    rest = {key: value for key, value in found.items() if key not in {"template", "files", "parts", "projector"}}
    shown = for_people(rest) | {"size": size(found["size"])}
    for file in _files(found)[1:]:
        label = "projector" if file["role"] == "projector" else f"part {file['part']}"
        shown[label] = f"{one_line(file['path'])} ({size(file['size'])}, {file['digest']})"
    return shown


def _files(found: dict[str, object]) -> list[dict[str, object]]:
    files = found["files"]
    return files if isinstance(files, list) else []  # pyright: ignore[reportUnknownVariableType] - made above


def _template(details: ModelDetails, out: Output) -> None:
    from llama_orch.cli.output import printable
    from llama_orch_utils.errors import BadRequest

    if details.template is None:
        raise BadRequest(
            f"{details.model.id} has no chat template", hint=f"orch show {details.model.id} tells what it has"
        )
    if out.mode == "json":
        out.data({"id": details.model.id, "template": details.template})
    else:
        out.write(printable(details.template).rstrip("\n") + "\n")


_PLAIN = {
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
_KEYS = {
    **KEYS,
    **_PLAIN,
    "capabilities": "completion, chat, tools, thinking, insert, vision; embedding; rerank",
    "files": "all files: path, role (weights, projector), part, size, digest, owned",
    "template": "the text of its chat template",
}

SHOW = Command(
    "models show", Show, show, ("orch models show orch-demo", "orch models show orch-demo --template"), _KEYS
)
