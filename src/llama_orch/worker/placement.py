# SPDX-License-Identifier: GPL-3.0-or-later
"""Where this worker's model goes: decided before it is loaded, from what is free, and checked afterwards.

Nothing lands on the CPU unasked: a GPU that is there and cannot be used, or layers that are not where they were sent,
end the load with the cause and the command that mends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llama_orch import machine
from llama_orch.devices import hardware
from llama_orch.devices.unused import unused
from llama_orch.models.estimate.layout import token_bytes
from llama_orch.models.estimate.placement import MARGIN, Placement, Room
from llama_orch.models.estimate.wanted import Wanted, wanted
from llama_orch.models.estimate.weights import Cpu
from llama_orch.worker import shortage
from llama_orch_utils.errors import ConfigError, EngineFailed
from llama_orch_utils.targets.local import WorkerSettings

if TYPE_CHECKING:
    from llama_orch.devices.device import LlamaCpp
    from llama_orch.engine.offload import Taken
    from llama_orch.models.estimate.shape import Shape
    from llama_orch.worker.options import WorkerOptions

GO_WITHOUT = "or go on without it: --gpu off"


@dataclass(frozen=True, slots=True)
class Placed:
    """What was decided: `placement`, the `devices` by ggml's names, and `warnings` to tell the user."""

    placement: Placement
    devices: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def engine_options(self) -> dict[str, Any]:
        """The fields of EngineOptions that say where."""
        found, layout = self.placement, self.placement.layout
        room = sum(each.room.free - each.weights - MARGIN for each in found.parts) if found.whole else None
        return {
            "gpu_layers": found.layers,
            "devices": self.devices,
            "split": found.split,
            "tensor_split": found.tensor_split,
            "room": None if room is None else max(0, room),
            "unified": layout.unified if found.parts and not layout.pooled else None,
        }


def decide(options: WorkerOptions, shape: Shape, build: LlamaCpp, *, extra_buffers: bool) -> Placed:
    """Where the model goes on this machine.

    Raises ConfigError for GPUs that do not exist; EngineFailed where a GPU is there and cannot be used, where `require`
    cannot be met, and (`out_of_memory`, with the numbers) where the memory is not there.
    """
    wish = settings(options)
    load = wanted(shape, wish, Cpu.of(build.features) if extra_buffers else Cpu())
    available = machine.available_memory()
    rooms = _rooms(wish, build, demo=options.demo)
    found = load.placer().place(rooms, available, wish.gpu_layers)
    _check(options.name, load, found, rooms)
    shortage.check_main(options.name, load, found, available)
    names = {each.number: each.name for each in build.gpus}
    devices = tuple(names[part.room.number] for part in found.parts)
    return Placed(found, devices, _warnings(options.name, found, rooms, wish))


def settings(options: WorkerOptions) -> WorkerSettings:
    """The settings that the options were made from."""
    from llama_orch.worker.options import LOAD_SETTINGS

    return WorkerSettings(**{name: getattr(options, name) for name in LOAD_SETTINGS})


def key_bytes(options: WorkerOptions, shape: Shape, placed: Placed) -> int | None:
    """Bytes of keys and values of a token, as they are kept; None where the model's own card tells as well."""
    del options
    layout = placed.placement.layout
    return token_bytes(shape, layout.type_k, layout.type_v) or None


def verify(placed: Placed, taken: Taken, build: LlamaCpp) -> None:
    """Compares what was asked of llama.cpp with what it did. Raises EngineFailed (`gpu_layers_missing`)."""
    wanted_layers = placed.placement.layers
    if not wanted_layers:
        return
    on_cpu = taken.buffers.get(("CPU", "KV"), 0) if placed.placement.whole else 0
    if taken.layers >= wanted_layers and not on_cpu:
        return
    where = ", ".join(f"{each.name} ({each.description})" for each in build.gpus)
    raise EngineFailed(
        f"{wanted_layers} of {placed.placement.total} layers were to go on {', '.join(placed.devices)}, and llama.cpp "
        f"put {taken.layers} there{' and keeps keys and values on the CPU' if on_cpu else ''}; it sees {where}",
        hint=f"orch engine build --backend {build.gpus[0].backend.lower()}, {GO_WITHOUT}",
        code="gpu_layers_missing",
    )


def _rooms(wish: WorkerSettings, build: LlamaCpp, *, demo: bool) -> tuple[Room, ...]:
    """The GPUs to use; none where none is wished, or there is none."""
    if wish.gpu == "require" and wish.gpu_layers == 0:
        raise ConfigError("--gpu require and --gpu-layers 0 exclude each other", key="gpu", hint="--gpu-layers -1")
    if wish.gpu == "off" or wish.gpu_layers == 0 or (demo and wish.gpu == "auto" and wish.gpu_layers is None):
        return ()
    idle = unused(hardware.found(), build)
    if idle is not None:
        raise EngineFailed(
            f"the model would run on the CPU although there is a GPU: {idle.cause}",
            hint=f"{idle.mend}, {GO_WITHOUT}",
            code="gpu_unused",
        )
    if not build.gpus and (wish.gpu == "require" or wish.gpus):
        raise EngineFailed(
            "a GPU is required, and this machine has none that llama.cpp can use",
            hint="orch doctor, or go on without one: --gpu off",
            code="gpu_missing",
        )
    return chosen(wish, build)


def chosen(wish: WorkerSettings, build: LlamaCpp) -> tuple[Room, ...]:
    """The GPUs that `wish` names, or all. Raises ConfigError for numbers and shares that do not fit them."""
    there = {each.number: each for each in build.gpus}
    missing = [number for number in wish.gpus if number not in there]
    if missing:
        listed = ", ".join(f"{each.number} ({each.description})" for each in build.gpus) or "none"
        raise ConfigError(f"there is no GPU {missing[0]}; there is {listed}", key="gpus", hint="orch run --plan")
    numbers = wish.gpus or tuple(each.number for each in build.gpus if each.number is not None)
    if wish.tensor_split and len(wish.tensor_split) != len(numbers):
        raise ConfigError(
            f"--tensor-split has {len(wish.tensor_split)} shares for {len(numbers)} GPUs",
            key="tensor_split",
            hint=f"--tensor-split {','.join('1' for _ in numbers)}" if numbers else "leave --tensor-split away",
        )
    return tuple(Room(number, there[number].name, there[number].free) for number in numbers)


def _check(name: str, load: Wanted, found: Placement, rooms: tuple[Room, ...]) -> None:
    required = load.settings.gpu == "require" and rooms
    if found.parts and not found.fits:
        raise shortage.on_gpus(name, found)
    if required and not found.whole:
        raise shortage.on_gpus(name, load.placer().place(rooms, machine.available_memory(), -1))


def _warnings(name: str, found: Placement, rooms: tuple[Room, ...], wish: WorkerSettings) -> tuple[str, ...]:
    if wish.gpu_layers and not rooms and wish.gpu != "off":
        return ("there is no GPU that llama.cpp can use: all layers run on the CPU, whatever --gpu-layers says",)
    if not rooms or found.whole or wish.gpu_layers is not None:
        return ()
    free = shortage.gib(sum(each.free for each in rooms))
    words = (
        f"{found.layers} of {found.total} layers of {name} go on {len(found.parts) or 'no'} GPU ({free} free); "
        "the rest runs on the CPU, slower (--gpu require makes this an error)"
    )
    return (words,)
