# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a repository make the wanted model: the parts of one quantisation, and a projector."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from llama_orch.models.hub.quantisations import PREFERRED, PROJECTOR_PREFERRED, quantisation_of, same
from llama_orch.models.hub.repository import HubFile, Repository
from llama_orch.models.split import part_of, stem_of
from llama_orch_utils.errors import BadRequest, ModelNotFound, TargetError

_SHOWN = 12
# GGUF files that lie beside the weights: projectors, importance matrices, draft models for speculative decoding.
_BESIDE = re.compile(r"mmproj|imatrix|^mtp-|-mtp-only|-dflash|-eagle")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a repository; all None: its recommended quantisation, with its projector if it has one.

    `pattern`: shell wildcards for the names of files, `{quant}` standing for the quantisation.
    `projector`: the file's name, or "none".
    """

    quantisation: str | None = None
    file: str | None = None
    pattern: str | None = None
    projector: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The parts in order, the projector, and the quantisation as the names tell it."""

    weights: tuple[HubFile, ...]
    projector: HubFile | None
    quantisation: str | None


def select(repository: Repository, wish: Wish) -> Selection:
    """The files for `wish`.

    Raises ModelNotFound where there are none, BadRequest where several would do, TargetError (code `incomplete`) where
    the repository lacks a part.
    """
    groups = _groups(repository.files)
    if not groups:
        raise ModelNotFound(
            f"{repository.id} has no GGUF files",
            hint="look for a repository of the same model whose name ends in -GGUF",
        )
    weights = _whole(repository, _chosen(repository, groups, wish))
    projector = _projector(repository, weights, wish)
    return Selection(weights, projector, quantisation_of(weights[0].path))


def _groups(files: Iterable[HubFile]) -> dict[str, list[HubFile]]:
    """Weights by the name that their parts share."""
    groups: dict[str, list[HubFile]] = {}
    for file in sorted(files, key=lambda each: each.path):
        name = PurePosixPath(file.path).name.lower()
        if name.endswith(".gguf") and not _BESIDE.search(name):
            groups.setdefault(stem_of(file.path), []).append(file)
    return groups


def _chosen(repository: Repository, groups: dict[str, list[HubFile]], wish: Wish) -> list[HubFile]:
    if wish.file is not None:
        return _by_name(repository, groups, wish.file)
    names = list(groups)
    if wish.pattern is not None:
        pattern = wish.pattern.replace("{quant}", wish.quantisation or "*").removesuffix(".gguf").lower()
        names = [name for name in names if _matches(name.lower(), pattern)]
    wanted = [wish.quantisation] if wish.quantisation else PREFERRED
    for quantisation in wanted:
        found = _fewest_parts(groups, [name for name in names if same(quantisation_of(name) or "", quantisation)])
        if len(found) > 1:
            raise _several(repository, found)
        if found:
            return groups[found[0]]
    if len(names) == 1 and wish.quantisation is None:
        return groups[names[0]]
    raise _no_such(repository, names, wish.quantisation)


def _fewest_parts(groups: dict[str, list[HubFile]], names: Sequence[str]) -> list[str]:
    """Of names that differ only in folder and case (a model kept both whole and split) the one in fewest files."""
    best: dict[str, str] = {}
    for name in sorted(names, key=lambda each: len(groups[each])):
        best.setdefault(PurePosixPath(name).name.lower(), name)
    return list(best.values())


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(PurePosixPath(name).name, pattern)


def _by_name(repository: Repository, groups: dict[str, list[HubFile]], file: str) -> list[HubFile]:
    """The group that a file is of: any part names the whole."""
    for parts in groups.values():
        if any(part.path == file for part in parts):
            return parts
    raise ModelNotFound(f"{repository.id} has no GGUF file {file}", hint=_listed(groups))


def _whole(repository: Repository, parts: Sequence[HubFile]) -> tuple[HubFile, ...]:
    numbered = {part_of(PurePosixPath(part.path).name)[0]: part for part in parts}
    count = part_of(PurePosixPath(parts[0].path).name)[1]
    missing = [number for number in range(1, count + 1) if number not in numbered]
    if missing:
        raise TargetError(
            f"{repository.id} has only {len(parts)} of the {count} parts of {stem_of(parts[0].path)}",
            code="incomplete",
            hint="choose another quantisation or repository",
        )
    return tuple(numbered[number] for number in range(1, count + 1))


def _projector(repository: Repository, weights: Sequence[HubFile], wish: Wish) -> HubFile | None:
    """The one that was named, else the most precise reasonable one beside the weights or above them."""
    if wish.projector == "none":
        return None
    found = [file for file in repository.files if _is_projector(file.path)]
    if wish.projector is not None:
        named = [file for file in found if file.path == wish.projector]
        if not named:
            known = ", ".join(file.path for file in found[:_SHOWN]) or "none"
            raise ModelNotFound(f"{repository.id} has no projector {wish.projector}", hint=f"it has: {known}")
        return named[0]
    folders = {str(PurePosixPath(weights[0].path).parent), "."}
    near = [file for file in found if str(PurePosixPath(file.path).parent) in folders]
    for quantisation in PROJECTOR_PREFERRED:
        fitting = [file for file in near if quantisation_of(file.path) == quantisation]
        if len(fitting) == 1:
            return fitting[0]
    if len(near) > 1:
        names = ", ".join(file.path for file in near[:_SHOWN])
        raise BadRequest(
            f"{repository.id} has several projectors: {names}",
            param="/projector",
            hint="name one with --projector FILE, or leave it out with --projector none",
        )
    return near[0] if near else None


def _is_projector(path: str) -> bool:
    name = PurePosixPath(path).name.lower()
    return name.endswith(".gguf") and "mmproj" in name


def _several(repository: Repository, names: Sequence[str]) -> BadRequest:
    return BadRequest(
        f"{repository.id} has several such files: {', '.join(names[:_SHOWN])}",
        param="/model",
        hint=f"name one: orch pull hf://{repository.id}/{names[0]}.gguf",
    )


def _no_such(repository: Repository, names: Sequence[str], wanted: str | None) -> ModelNotFound:
    known = dict.fromkeys(found for name in names if (found := quantisation_of(name)))
    if not known:
        return ModelNotFound(f"{repository.id} does not tell its quantisations apart", hint=_listed(names))
    near = f"has no {wanted}" if wanted else "has none of the usual quantisations"
    return ModelNotFound(
        f"{repository.id} {near}; it has {', '.join(list(known)[:_SHOWN])}",
        hint=f"orch pull hf://{repository.id}:{next(iter(known))}",
    )


def _listed(names: Iterable[str]) -> str:
    return f"it has: {', '.join(f'{name}.gguf' for name in list(names)[:_SHOWN])}"
