# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of one model, by what it is for."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from llama_orch.models.estimate.cache import caches
from llama_orch.models.estimate.compute import compute, outputs, work
from llama_orch.models.estimate.layout import Layout
from llama_orch.models.estimate.shape import Shape
from llama_orch.models.estimate.weights import Cpu, weights

PROCESS = 66 * 2**20
"""A worker without a model: interpreter, libraries and their pages (measured: 65 to 68 MiB resident)."""
_PER_TOKEN = 224
"""Bytes that llama.cpp's and our own vocabulary tables take for each token (measured: 200 to 230)."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on the CPU. `mapped` are pages of the file, which the kernel shares and reads again; the rest is private.

    `weights` are repacked copies, `cache` keys, values and states, `compute` the graph's buffer, `outputs` the logits,
    `work` ggml's work space, `process` the worker itself, `draft` and `projector` those models whole.
    """

    mapped: int
    weights: int
    cache: int
    compute: int
    outputs: int
    work: int
    process: int
    draft: int = 0
    projector: int = 0

    @property
    def private(self) -> int:
        """Bytes that nobody else shares."""
        return self.total - self.mapped

    @property
    def total(self) -> int:
        """All of it: what has to be free for the model to run without reading its file again and again."""
        return sum(asdict(self).values())


def estimate(
    shape: Shape, layout: Layout, cpu: Cpu | None = None, *, draft: Memory | None = None, projector: int = 0
) -> Memory:
    """The memory of `shape`, laid out as `layout`, on the CPU alone.

    `cpu` None: nothing is repacked. `draft` is the estimate of the draft model, `projector` bytes of its file.
    """
    held = weights(shape, cpu or Cpu())
    return Memory(
        mapped=held.mapped,
        weights=held.private,
        cache=sum(caches(shape, layout)),
        compute=compute(shape, layout),
        outputs=outputs(shape, layout),
        work=work(shape, layout),
        process=PROCESS + _PER_TOKEN * shape.vocabulary,
        draft=draft.total - draft.process if draft else 0,
        projector=projector,
    )
