# SPDX-License-Identifier: GPL-3.0-or-later
"""What one model needs with some settings, against what this machine has: as a record for a table or JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from llama_orch import machine
from llama_orch.devices import hardware
from llama_orch.devices.device import LlamaCpp
from llama_orch.devices.unused import Unused, unused
from llama_orch.models.estimate.placement import Part, Placement, Room
from llama_orch.models.estimate.wanted import Wanted, read_wanted
from llama_orch.models.estimate.weights import Cpu
from llama_orch_utils.errors import ConfigError, OrchError

if TYPE_CHECKING:
    from llama_orch.cli.fit.command import Fit
    from llama_orch.cli.output import Output
    from llama_orch.cli.run.asking import Reaching
    from llama_orch.models.stored_model import StoredModel
    from llama_orch_utils.targets.local import WorkerSettings


@dataclass(frozen=True, slots=True)
class Machine:
    """What is free: `available` bytes of main memory, `rooms` on GPUs; `idle` a GPU that cannot be used."""

    build: LlamaCpp
    available: int
    rooms: tuple[Room, ...]
    idle: Unused | None


def settings(options: Fit | Reaching) -> WorkerSettings:
    """What the options, the environment and the files say. Raises ConfigError, UsageError."""
    from llama_orch.cli.run import idle, placing
    from llama_orch_utils import config
    from llama_orch_utils.targets.load import read_worker_settings

    names = ("context", "slots", "threads", "gpu_layers")
    found = config.load({**{name: getattr(options, name) for name in names}, **placing.given(options)})
    idle.check(found)
    return read_worker_settings({name: value.value for name, value in found.values.items()})


def look(wish: WorkerSettings, out: Output) -> Machine:
    """The machine as the chosen engine sees it. Raises ConfigError for GPUs that are not there."""
    from llama_orch.engines import runtime
    from llama_orch.pool.fleet.hardware import of_runtime

    try:
        build = of_runtime(runtime.check(wish.engine))
    except OrchError as error:
        out.warn(f"{error.message}; reckoned for a CPU without vector units", error.hint)
        build = LlamaCpp()
    idle = None if wish.gpu == "off" else unused(hardware.found(), build)
    return Machine(build, machine.available_memory(), _rooms(wish, build), idle)


def reckon(model: StoredModel, wish: WorkerSettings, there: Machine) -> dict[str, object]:
    """The record of one model (`keys.KEYS`). Raises EngineFailed for a file that cannot be read."""
    from llama_orch.pool import load_settings

    load = read_wanted(model.parts, load_settings.settled(wish, model), Cpu.of(there.build.features))
    rooms = () if model.demo and wish.gpu == "auto" and wish.gpu_layers is None else there.rooms
    found = load.placer().place(rooms, there.available, wish.gpu_layers)
    names = [part.room.name for part in found.parts] if found.parts else []
    where = [*names, *([] if found.whole and names else ["CPU"])]
    free = sum(part.room.free for part in found.parts) + (0 if found.whole and names else there.available)
    beside = load.memory(there.available)
    memory = {**asdict(found.cpu), "draft": beside.draft, "projector": beside.projector}
    main = sum(memory.values())
    return {
        "model": model.id,
        "path": str(model.path),
        "architecture": load.shape.architecture,
        "fits": main - found.cpu.process <= there.available and found.fits and _as_required(wish, found),
        "where": " + ".join(where),
        "layers_gpu": found.layers,
        "layers_total": found.total,
        "need": main + found.need,
        "free": free,
        "context": found.layout.context,
        "slots": found.layout.slots,
        "most_context": load.most_context(rooms if found.whole else (), there.available),
        "memory": memory,
        "devices": [_device(part) for part in found.parts],
        "split": found.split,
        "tensor_split": list(found.tensor_split),
        "places": [_place(load, name, each, there) for name, each in _places(there)],
        "cause": there.idle.cause if there.idle else None,
        "mend": there.idle.mend if there.idle else None,
    }


def _as_required(wish: WorkerSettings, found: Placement) -> bool:
    return wish.gpu != "require" or (found.whole and bool(found.parts))


def _device(part: Part) -> dict[str, object]:
    return {
        "name": part.room.name, "number": part.room.number, "layers": part.layers, "weights": part.weights,
        "cache": part.cache, "compute": part.compute, "need": part.need, "free": part.room.free, "fits": part.fits,
    }  # fmt: skip


def _places(there: Machine) -> list[tuple[str, tuple[Room, ...]]]:
    places: list[tuple[str, tuple[Room, ...]]] = [("CPU", ())]
    places += [(room.name, (room,)) for room in there.rooms]
    if len(there.rooms) > 1:
        places.append((" + ".join(room.name for room in there.rooms), there.rooms))
    return places


def _place(load: Wanted, name: str, rooms: tuple[Room, ...], there: Machine) -> dict[str, object]:
    found = load.placer().place(rooms, there.available, None if rooms else 0)
    fits = found.whole if rooms else found.cpu.total - found.cpu.process <= there.available
    context = load.most_context(rooms, there.available)
    return {"where": name, "fits": fits, "layers_gpu": found.layers, "most_context": context}


def _rooms(wish: WorkerSettings, build: LlamaCpp) -> tuple[Room, ...]:
    """The GPUs that may be used, with what is free."""
    if wish.gpu == "off":
        return ()
    there = {each.number: each for each in build.gpus}
    missing = [number for number in wish.gpus if number not in there]
    if missing:
        listed = ", ".join(f"{each.number} ({each.description})" for each in build.gpus) or "none"
        raise ConfigError(f"there is no GPU {missing[0]}; there is {listed}", key="gpus", hint="orch models fit")
    numbers = wish.gpus or tuple(each.number for each in build.gpus if each.number is not None)
    return tuple(Room(number, there[number].name, there[number].free) for number in numbers)
