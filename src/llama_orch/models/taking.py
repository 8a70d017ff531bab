# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may take a name of the store."""

from __future__ import annotations

from llama_orch.models import names
from llama_orch.models.entry import Entry
from llama_orch.models.stored_model import DEMO_ID
from llama_orch_utils.errors import BadRequest


def check_new(name: str) -> str:
    """`name` itself if a model may be called so. Raises BadRequest."""
    if names.check_name(name) == DEMO_ID:
        raise BadRequest(f"{DEMO_ID} is the embedded demo's name", param="/name", hint="choose another: --name NAME")
    return name


def check_source(name: str, taken: Entry, source: str) -> None:
    """The same repository at another commit is an update, anything else another model: BadRequest."""
    if taken.source is None or taken.source.partition("@")[0] != source.partition("@")[0]:
        raise taken_by(name, taken)


def unrecorded() -> BadRequest:
    """The demo has no recorded digest: it came with the program."""
    return BadRequest(f"{DEMO_ID} is part of the program", param="/name", hint="pip check; orch doctor")


def taken_by(name: str, taken: Entry) -> BadRequest:
    """The name stands for something else."""
    word = "remove" if any(file.owned for file in taken.files) else "forget"
    return BadRequest(
        f"{name} already stands for {taken.source or taken.weights[0].path}",
        param="/name",
        hint=f"choose another with --name, or {word} the old one: orch models rm {name}",
    )
