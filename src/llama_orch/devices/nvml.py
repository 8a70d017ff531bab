# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA's GPUs, as their driver's management library lists them (nvidia-ml-py, the module `pynvml`).

https://docs.nvidia.com/deploy/nvml-api/
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from llama_orch.devices.device import Gpu


def read(binding: ModuleType | None = None) -> tuple[tuple[Gpu, ...], str | None]:
    """The GPUs, and why there are none to be asked (None: the driver answered). Never raises.

    `binding` is the module to ask (None: `pynvml`).
    """
    try:
        nvml: Any = binding or importlib.import_module("pynvml")
    except ImportError:
        return (), "nvidia-ml-py is not installed"
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return (), f"NVIDIA's driver cannot be asked: {error}"
    try:
        driver = _text(nvml.nvmlSystemGetDriverVersion())
        return tuple(_gpu(nvml, index, driver) for index in range(nvml.nvmlDeviceGetCount())), None
    except nvml.NVMLError as error:
        return (), f"NVIDIA's driver fails: {error}"
    finally:
        nvml.nvmlShutdown()


def _gpu(nvml: Any, index: int, driver: str) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(
        vendor="nvidia",
        name=_text(nvml.nvmlDeviceGetName(handle)),
        source="nvml",
        total=int(memory.total),
        free=int(memory.free),
        bus=bus(_text(nvml.nvmlDeviceGetPciInfo(handle).busId)),
        driver=driver,
        used_by=_processes(nvml, handle),
    )


def bus(text: str) -> str:
    """`00000000:C1:00.0` as the kernel writes it: `0000:c1:00.0`."""
    domain, _, rest = text.lower().partition(":")
    return f"{domain[-4:]}:{rest}"


def _processes(nvml: Any, handle: object) -> dict[int, int]:
    """Bytes by process; in a container the driver may show none."""
    try:
        running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except nvml.NVMLError:
        return {}
    return {int(each.pid): int(each.usedGpuMemory or 0) for each in running}


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
