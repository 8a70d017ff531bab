# SPDX-License-Identifier: GPL-3.0-or-later
"""A model with the settings that it is to be loaded with: what the two together take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llama_orch.models.estimate.layout import Layout, foresee
from llama_orch.models.estimate.memory import Memory, estimate
from llama_orch.models.estimate.placement import Placer, Room
from llama_orch.models.estimate.shape import Shape, read_shape
from llama_orch.models.estimate.weights import Cpu
from llama_orch.models.split import parts_beside
from llama_orch_utils.errors import EngineFailed
from llama_orch_utils.targets.local import NO_PROJECTOR, WorkerSettings

DRAFT_TOKENS = 4
_LEAST_CONTEXT, _STEP, _LONGEST = 256, 256, 2**17


@dataclass(frozen=True)
class Wanted:
    """`shape` loaded with `settings` on `cpu`.

    `draft` is the draft model's shape, `beside` the bytes of adapters and projector.
    """

    shape: Shape
    settings: WorkerSettings
    cpu: Cpu
    draft: Shape | None = None
    beside: int = 0

    def layout(self, available: int, slots: int | None = None) -> Layout:
        """How it will lie where `available` bytes are free; `slots` in place of the settings'."""
        return self._lay(self.shape, available, slots)

    def memory(self, available: int, slots: int | None = None) -> Memory:
        """What it takes in main memory with no GPU."""
        return self._with_others(estimate(self.shape, self.layout(available, slots), self.cpu), available, slots)

    def placer(self, slots: int | None = None) -> Placer:
        """What places it on GPUs."""
        settings = self.settings
        return Placer(
            self.shape,
            lambda available: self.layout(available, slots),
            cpu=self.cpu,
            split=settings.split,
            shares=settings.tensor_split,
        )

    def with_context(self, context: int) -> Wanted:
        """The same with another context."""
        return replace(self, settings=replace(self.settings, context=context))

    def most_context(self, rooms: Sequence[Room], available: int) -> int | None:
        """The longest context, in steps of 256 tokens, with which it fits: whole on `rooms`, or in main memory (none).

        None where not even the shortest does. No longer than the model was trained for.
        """
        low, high = _LEAST_CONTEXT, max(_LEAST_CONTEXT, self.shape.context_train or _LONGEST)
        if not self._fits(low, rooms, available):
            return None
        if self._fits(high, rooms, available):
            return high
        while high - low > _STEP:
            middle = (low + high) // 2
            if self._fits(middle, rooms, available):
                low = middle
            else:
                high = middle
        return low // _STEP * _STEP

    def _fits(self, context: int, rooms: Sequence[Room], available: int) -> bool:
        other = self.with_context(context)
        if rooms:
            found = other.placer().place(rooms, available)
            return found.whole and found.fits
        memory = other.memory(available)
        return memory.total - memory.process <= available

    def _with_others(self, memory: Memory, available: int, slots: int | None) -> Memory:
        draft = 0
        if self.draft is not None:
            held = estimate(self.draft, self._lay(self.draft, available, slots), self.cpu)
            draft = held.total - held.process
        return replace(memory, draft=draft, projector=self.beside)

    def _lay(self, shape: Shape, available: int, slots: int | None) -> Layout:
        settings = self.settings
        return foresee(
            shape,
            context=settings.context,
            slots=settings.slots if slots is None else slots,
            available=available,
            cache_type_k=settings.cache_type_k,
            cache_type_v=settings.cache_type_v,
            flash_attention=settings.flash_attention,
            threads=settings.threads or 2,
            drafted=(settings.draft_tokens or DRAFT_TOKENS) if settings.draft else 0,
        )


def read_wanted(parts: Sequence[Path], settings: WorkerSettings, cpu: Cpu | None = None) -> Wanted:
    """Reads the headers of the model's `parts`, in order, and of its draft. Raises EngineFailed as `read_header`."""
    return wanted(read_shape(parts[0], parts[1:]), settings, cpu)


def wanted(shape: Shape, settings: WorkerSettings, cpu: Cpu | None = None) -> Wanted:
    """`shape` with `settings`; reads the header of the draft model. Raises EngineFailed where a file is not there."""
    draft = None if settings.draft is None else _shape_at(Path(settings.draft))
    files = [path for path, _ in settings.loras]
    if settings.projector not in (None, NO_PROJECTOR):
        files.append(settings.projector)
    return Wanted(shape, settings, cpu or Cpu(), draft, sum(_size(Path(each)) for each in files))


def _shape_at(path: Path) -> Shape:
    first, *others = parts_beside(path)
    return read_shape(first, others)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise EngineFailed(
            f"cannot read {path}: {error.strerror}", hint="check the path and its permissions", code="model_unreadable"
        ) from error
