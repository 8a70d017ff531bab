# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layers go on which GPU: one if the model fits on it, else as few as hold it, else as many layers as fit.

How llama.cpp deals layers out is in llama-model.cpp (`load_tensors`, `get_layer_buft_list`): the last ones go on the
GPUs, the output matrix counts as one more, the token embeddings stay on the CPU.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from llama_orch.models.estimate.cache import caches
from llama_orch.models.estimate.compute import compute, host, inputs
from llama_orch.models.estimate.layout import Layout
from llama_orch.models.estimate.memory import Memory, estimate
from llama_orch.models.estimate.shape import Shape, tensor_bytes
from llama_orch.models.estimate.weights import Cpu

Split = Literal["none", "layer", "row"]
MARGIN = 512 * 2**20
"""Bytes that a process takes on a GPU before it has a model: the driver's context and its kernels, and a reserve."""
_COPIES = 4
"""GGML_SCHED_MAX_COPIES: of what crosses between GPUs that hold a model together, and then work as a pipeline."""
_LOOKED_UP = ("token_embd", "position_embd", "token_types", "per_layer_token_embd", "token_embd_norm")


@dataclass(frozen=True, slots=True)
class Room:
    """A GPU by the number that `--gpus` takes and ggml's name, with the bytes that are free on it."""

    number: int
    name: str
    free: int


@dataclass(frozen=True, slots=True)
class Part:
    """What one GPU gets: `layers` (the output matrix is one), and bytes; `need` is all of them."""

    room: Room
    layers: int
    weights: int
    cache: int
    compute: int

    @property
    def need(self) -> int:
        """Bytes, with what a process takes there anyway."""
        return self.weights + self.cache + self.compute + MARGIN

    @property
    def fits(self) -> bool:
        """Whether they are free."""
        return self.need <= self.room.free


@dataclass(frozen=True, slots=True)
class Placement:
    """`layers` of `total` on the GPUs of `parts`, whose shares are `tensor_split`; the rest as `cpu` says.

    `fits` says whether each GPU has the room. `layout` is what it was reckoned with.
    """

    layers: int
    total: int
    parts: tuple[Part, ...]
    cpu: Memory
    layout: Layout
    split: Split
    tensor_split: tuple[float, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether every GPU has room for its part."""
        return all(each.fits for each in self.parts)

    @property
    def whole(self) -> bool:
        """Whether no layer is left to the CPU."""
        return self.layers >= self.total

    @property
    def need(self) -> int:
        """Bytes on all GPUs together."""
        return sum(each.need for each in self.parts)


class Placer:
    """Places one model. `lay` gives the layout for so many bytes free, `split` and `shares` are the user's wishes."""

    def __init__(
        self,
        shape: Shape,
        lay: Callable[[int], Layout],
        *,
        cpu: Cpu | None = None,
        split: Split | None = None,
        shares: Sequence[float] = (),
    ) -> None:
        self._shape, self._lay, self._cpu = shape, lay, cpu or Cpu()
        self._split, self._shares = split, tuple(shares)
        self.total = len(shape.layers) + 1

    def place(self, rooms: Sequence[Room], available: int, layers: int | None = None) -> Placement:
        """The best placement on `rooms`, with `available` bytes free in main memory.

        `layers` None: as many as fit; else just so many (negative: all), whether they fit or not.
        """
        if not rooms or layers == 0:
            return self._on_cpu(available)
        wanted = self.total if layers is None or layers < 0 else min(layers, self.total)
        for chosen in self._choices(rooms):
            found = self._put(wanted, chosen, available)
            if found.fits:
                return found
        chosen = self._largest(rooms)
        if layers is not None:
            return self._put(wanted, chosen, available)
        for count in range(wanted - 1, 0, -1):
            found = self._put(count, chosen, available)
            if found.fits:
                return found
        return self._on_cpu(available)

    def _choices(self, rooms: Sequence[Room]) -> list[tuple[Room, ...]]:
        """What to try: one GPU, the one with the most room first; then as few as possible."""
        if self._shares:
            return [tuple(rooms)]
        by_room = sorted(rooms, key=lambda each: -each.free)
        counts: Sequence[int] = [1] if self._split == "none" else range(1, len(rooms) + 1)
        return [tuple(sorted(by_room[:count], key=lambda each: each.number)) for count in counts]

    def _largest(self, rooms: Sequence[Room]) -> tuple[Room, ...]:
        return self._choices(rooms)[-1]

    def _on_cpu(self, available: int) -> Placement:
        layout = self._lay(available)
        return Placement(0, self.total, (), estimate(self._shape, layout, self._cpu), layout, "none")

    def _put(self, layers: int, rooms: tuple[Room, ...], available: int) -> Placement:
        layout = self._lay(sum(each.free for each in rooms) if layers >= self.total else available)
        split: Split = "row" if self._split == "row" else "layer"
        split = "none" if len(rooms) == 1 else split
        shares = self._shares or tuple(max(1.0, each.free) for each in rooms)  # also where nothing is free
        parts = self._parts(layers, rooms, layout, split, shares)
        left = self._left(layers, layout, _COPIES if split == "layer" and len(rooms) > 1 else 1)
        told = tuple(round(each / sum(shares), 4) for each in shares) if len(rooms) > 1 else ()
        return Placement(layers, self.total, parts, left, layout, split, told)

    def _parts(
        self, layers: int, rooms: tuple[Room, ...], layout: Layout, split: Split, shares: tuple[float, ...]
    ) -> tuple[Part, ...]:
        weights = [*(each.weights for each in self._shape.layers), _output(self._shape)][self.total - layers :]
        cache = [*caches(self._shape, layout), 0][self.total - layers :]
        pipelined = split == "layer" and len(rooms) > 1 and layers >= self.total
        buffer = compute(self._shape, layout) + (_COPIES - 1 if pipelined else 0) * inputs(self._shape, layout)
        if split == "row":  # matrices are cut by rows, everything else is with the first GPU
            whole = sum(shares)
            return tuple(
                Part(room, layers if index == 0 else 0, int(sum(weights) * shares[index] / whole),
                     sum(cache) if index == 0 else 0, buffer if index == 0 else 0)
                for index, room in enumerate(rooms)
            )  # fmt: skip
        owner = _deal(layers, shares[: len(rooms)])
        return tuple(
            Part(
                room,
                owner.count(index),
                sum(size for size, who in zip(weights, owner, strict=True) if who == index),
                sum(size for size, who in zip(cache, owner, strict=True) if who == index),
                buffer,
            )
            for index, room in enumerate(rooms)
        )

    def _left(self, layers: int, layout: Layout, copies: int) -> Memory:
        """What stays in main memory."""
        from dataclasses import replace

        shape, first = self._shape, self.total - layers
        kept = tuple(each for each in shape.tensors if _stays(each.name, first, layers > 0))
        held = estimate(replace(shape, tensors=kept), layout, self._cpu)
        cache = sum(caches(shape, layout)[:first])
        if first:
            return replace(held, cache=cache)
        return replace(held, cache=cache, compute=host(shape, layout, copies), work=0)


def _deal(layers: int, shares: Sequence[float]) -> list[int]:
    """Whose each of so many layers is: llama.cpp's `upper_bound` over the summed shares."""
    bounds = list(accumulate(shares))
    whole = bounds[-1] or 1.0
    return [min(bisect_right([each / whole for each in bounds], index / layers), len(shares) - 1)
            for index in range(layers)]  # fmt: skip


def _output(shape: Shape) -> int:
    """Bytes of what counts as the last layer: the output matrix, its norm, and whatever else stands alone."""
    sizes = {each.name: tensor_bytes(each) for each in shape.tensors if not each.name.startswith("blk.")}
    alone = sum(size for name, size in sizes.items() if not name.startswith(_LOOKED_UP))
    return alone + (sizes.get("token_embd.weight", 0) if shape.tied else 0)


def _stays(name: str, first: int, some: bool) -> bool:  # noqa: FBT001
    """Whether a tensor stays on the CPU when the layers from `first` on go."""
    if name.startswith("blk."):
        number = name.split(".", 2)[1]
        return number.isdigit() and int(number) < first
    return not some or name.startswith(_LOOKED_UP)
