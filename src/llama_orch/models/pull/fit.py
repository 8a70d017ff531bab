# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this machine has room for a model that is not here yet: on its disk, and in its memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from llama_orch.machine import available_memory
from llama_orch.models.download import Web
from llama_orch.models.download.trouble import Broken
from llama_orch.models.estimate import estimate, foresee
from llama_orch.models.estimate.shape import shape_of
from llama_orch.models.pull.glimpse import glimpse
from llama_orch.models.pull.plan import Plan
from llama_orch.models.pull.room import free_bytes
from llama_orch.models.store import Store
from llama_orch_utils.errors import EngineFailed, NotAllowed, NotAuthorised, OrchError

# Beside the weights, where nothing is known of the model: the cache of a conversation and llama.cpp's buffers.
_BESIDE = 1.15
_AT_LEAST = 128 * 2**20


@dataclass(frozen=True, slots=True)
class Fit:
    """Bytes. `memory_needed` is for `context` tokens; `by` says what it is from: the file's header, or its size alone.

    `refused` is why the files may not be had, as the server said it; `words` tells the rest to people.
    """

    disk_free: int
    memory_free: int
    memory_needed: int | None
    context: int | None
    by: Literal["header", "size", "nothing"]
    fits: bool | None
    words: str
    refused: OrchError | None = None


def fit(plan: Plan, store: Store, web: Web) -> Fit:
    """Compares what the model takes with what is free. Reads the headers of its files, by range; fetches no weights."""
    disk, memory = free_bytes(store.downloads), available_memory()
    by_size = None if plan.size is None else int(plan.size * _BESIDE) + _AT_LEAST
    found = Fit(disk, memory, by_size, None, "nothing" if by_size is None else "size", None, "")
    try:
        needed, context = _estimated(plan, web, memory)
        found = replace(found, memory_needed=needed, context=context, by="header")
    except (NotAuthorised, NotAllowed) as error:
        found = replace(found, refused=error)
    except (Broken, EngineFailed, KeyError, ZeroDivisionError):
        pass  # `by` says that only the size is known
    return _judged(plan, found)


def _estimated(plan: Plan, web: Web, memory: int) -> tuple[int, int]:
    weights = [each for each in plan.files if each.file.role == "weights"]
    shapes = [shape_of(glimpse(each, web)) for each in weights]
    whole = replace(shapes[0], tensors=tuple(tensor for shape in shapes for tensor in shape.tensors))
    layout = foresee(whole, available=memory)
    projector = sum(each.file.size or 0 for each in plan.files if each.file.role == "projector")
    return estimate(whole, layout, projector=projector).total, layout.context


def _judged(plan: Plan, found: Fit) -> Fit:
    if plan.missing > found.disk_free:
        return replace(found, fits=False, words="it does not fit on this disk")
    if found.memory_needed is None:
        return replace(found, words="the server does not say how large it is")
    if found.memory_needed > found.memory_free:
        return replace(found, fits=False, words="it does not fit in the memory that is free now")
    return replace(found, fits=True, words="it fits on this machine")
