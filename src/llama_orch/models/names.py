# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of models: which are allowed, which are meant, which are near."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from llama_orch.models.split import part_of, stem_of
from llama_orch_utils.errors import BadRequest, ModelNotFound

_ALLOWED = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?(?::[a-z0-9][a-z0-9._-]*)?")
_LONGEST = 96


def check_name(name: str) -> str:
    """`name` itself if it may name a model: lower case, digits, `.`, `_`, `-` and one `:tag`. Raises BadRequest."""
    if len(name) > _LONGEST or not _ALLOWED.fullmatch(name):
        raise BadRequest(
            f"{name!r} cannot name a model",
            param="/name",
            hint="use lower-case letters, digits, '.', '_' and '-', with at most one ':tag', as in qwen3:0.6b",
        )
    return name


def name_from(path: Path) -> str:
    """A name made from a file's: `Qwen3-0.6B-Q8_0.gguf` gives `qwen3-0.6b-q8_0`, a part of a split one no number."""
    stem = path.stem if part_of(path.name) == (1, 1) else stem_of(path.name)
    name = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:_LONGEST].rstrip("-._")
    return name or "model"


def is_address(name: str) -> bool:
    """Whether `name` says where a model is to be fetched from: `hf://owner/repository`, `https://...`."""
    return name.partition("://")[0].lower() in {"hf", "http", "https"} and "://" in name


def looks_like_path(name: str) -> bool:
    """Whether `name` means a file: it ends in .gguf, or it has a separator, or it starts with a tilde."""
    return name.lower().endswith(".gguf") or "/" in name or "\\" in name or name.startswith("~")


def not_found(name: str, known: Iterable[str], *, wanted: bool = False) -> ModelNotFound:
    """The error for an unknown name, with what was probably meant.

    `wanted` tells that somebody wants to use it: then the command that fetches it is named, where there is one.
    """
    if is_address(name):
        shown = name.partition("?")[0]  # what follows may be a key
        hint = f"orch pull {shown}" if shown == name else "orch pull ADDRESS"
        return ModelNotFound(f"{shown} is not on this machine", hint=hint)
    import difflib

    near = tuple(difflib.get_close_matches(name.lower(), list(known), n=3, cutoff=0.5))
    hint = f"did you mean {near[0]}? orch models ls shows all" if near else "orch models ls shows what is here"
    if wanted:
        from llama_orch.models.catalogue import pull_hint

        hint = pull_hint(name) or hint
    return ModelNotFound(f"there is no model {name!r} on this machine", near_misses=near, hint=hint)
