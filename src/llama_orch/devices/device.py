# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of this room."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["cpu", "gpu", "igpu", "accel"]
Vendor = Literal["nvidia", "amd", "intel", "apple"]


@dataclass(frozen=True, slots=True)
class Device:
    """A device as llama.cpp's build offers it.

    `name` is ggml's (`CUDA0`), `backend` its registry's (`CUDA`), `number` what `--gpus` calls it (None: no GPU).
    `total` and `free` are bytes, 0 where the backend does not tell; `bus` the PCI address, lower case, where it does.
    """

    name: str
    backend: str
    kind: Kind
    description: str
    total: int
    free: int
    number: int | None = None
    bus: str | None = None


@dataclass(frozen=True, slots=True)
class LlamaCpp:
    """What one build of llama.cpp says: its devices, and the CPU features that it was compiled for and finds."""

    devices: tuple[Device, ...] = ()
    features: tuple[str, ...] = ()

    @property
    def gpus(self) -> tuple[Device, ...]:
        """The GPUs, by number."""
        return tuple(each for each in self.devices if each.number is not None)


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that the machine has, whatever llama.cpp can do with it.

    `dedicated`: it has memory of its own; one that shares the machine's is only told. `total` and `free` bytes, None
    where nobody tells. `source` nvml, sysfs or metal; `trouble` says why its driver cannot be asked.
    """

    vendor: Vendor
    name: str
    source: Literal["nvml", "sysfs", "metal"]
    dedicated: bool = True
    total: int | None = None
    free: int | None = None
    bus: str | None = None
    driver: str | None = None
    trouble: str | None = None
    used_by: dict[int, int] = field(default_factory=dict[int, int], compare=False)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready copy."""
        return {
            "vendor": self.vendor, "name": self.name, "source": self.source, "dedicated": self.dedicated,
            "total": self.total, "free": self.free, "bus": self.bus, "driver": self.driver, "trouble": self.trouble,
        }  # fmt: skip
