# SPDX-License-Identifier: GPL-3.0-or-later
"""The files beside the model that a worker is loaded with: found before it is started, with whole paths."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from shlex import quote

from llama_orch_utils.errors import BadRequest, EngineFailed, ModelNotFound
from llama_orch_utils.targets.local import NO_PROJECTOR, WorkerSettings

_LORA = "--lora FILE, or --lora FILE=0.5 for another scale than 1; FILE is looked for in the folder you are in"
_PROJECTOR = "--projector FILE, the mmproj file that came with the model"


def found(settings: WorkerSettings) -> WorkerSettings:
    """`settings` with whole paths; the draft may be a model's name. What it gave gives the same again.

    Raises EngineFailed for what is not there, and for a draft whose file was changed or is no model.
    """
    if settings.draft is None and settings.projector is None and not settings.loras:
        return settings
    return replace(
        settings,
        draft=None if settings.draft is None else _draft(settings.draft),
        projector=_projector(settings.projector),
        loras=tuple((_file("LoRA adapter", path, _LORA), scale) for path, scale in settings.loras),
    )


def _projector(path: str | None) -> str | None:
    return path if path in (None, NO_PROJECTOR) else _file("projector", path, _PROJECTOR)


def _draft(name: str) -> str:
    """What llama.cpp opens for the model `name`: one of the store, or a file."""
    from llama_orch.models.store import Store

    store, path = Store(), Path(name).expanduser()
    if not store.knows(name) and path.is_file():  # it need not end in .gguf
        name = os.path.abspath(path)  # noqa: PTH100 - Path.absolute keeps `..`
    try:
        return store.resolve(name).opens
    except (ModelNotFound, BadRequest) as error:
        # Whoever asks a server for a model that is there must not hear that it is not.
        raise EngineFailed(f"the draft: {error.message}", hint=error.hint, code="draft_missing") from error


def _file(kind: str, path: str, hint: str) -> str:
    whole = os.path.realpath(Path(path).expanduser())
    if not Path(whole).is_file():
        why = "is a folder" if Path(whole).is_dir() else "is not there"
        raise EngineFailed(f"the {kind} {quote(path)} {why}", hint=hint, code="file_missing")
    return whole
