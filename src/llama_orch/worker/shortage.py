# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that is not there: said before a model is loaded, with the numbers and with what would fit."""

from __future__ import annotations

from llama_orch.models.estimate.memory import Memory
from llama_orch.models.estimate.placement import Placement
from llama_orch.models.estimate.wanted import Wanted
from llama_orch_utils.errors import EngineFailed

OUT_OF_MEMORY = "out_of_memory"


def check_main(name: str, load: Wanted, found: Placement, available: int) -> None:
    """Raises EngineFailed (503, `out_of_memory`) where `found` needs more main memory than is `available`."""
    memory = found.cpu
    if memory.total - memory.process <= available:  # the process is there already
        return
    raise EngineFailed(
        f"{name} needs about {gib(memory.total)} of memory ({_parts(memory)}); {gib(available)} are free",
        hint=_smaller(load, available),
        code=OUT_OF_MEMORY,
    )


def on_gpus(name: str, found: Placement) -> EngineFailed:
    """The layers that were asked for do not fit on the GPUs that may be used."""
    free = sum(each.room.free for each in found.parts)
    parts = "; ".join(f"{each.room.name}: {gib(each.need)} of {gib(each.room.free)}" for each in found.parts)
    return EngineFailed(
        f"{found.layers} of {found.total} layers of {name} need about {gib(found.need)} on GPUs, "
        f"{gib(free)} are free ({parts})",
        hint=f"orch models fit tells what fits; a smaller --context, --cache-type-k q8_0 --cache-type-v q8_0, or "
        f"--gpu-layers {max(0, found.layers // 2)}",
        code=OUT_OF_MEMORY,
    )


def gib(count: int) -> str:
    """Bytes in GiB, or MiB where they are few."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**29 else f"{count / 2**20:.0f} MiB"


def _smaller(load: Wanted, available: int) -> str:
    context = load.most_context((), available)
    if context is None:
        return "close other programs, or take a smaller quantisation: orch models ls"
    return f"--context {context} fits; fewer --slots and --cache-type-k q8_0 --cache-type-v q8_0 take less as well"


def _parts(memory: Memory) -> str:
    parts = (
        ("weights", memory.mapped + memory.weights),
        ("keys and values", memory.cache),
        ("computing", memory.compute + memory.outputs + memory.work),
        ("draft model", memory.draft),
        ("adapters and projector", memory.projector),
    )
    return ", ".join(f"{name} {gib(size)}" for name, size in parts if size)
