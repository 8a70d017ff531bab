# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPUs that the machine has: the kernel's list, with what NVIDIA's driver adds to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

from llama_orch.devices import metal, nvml, sysfs
from llama_orch.devices.device import Gpu


def found(root: Path | None = None, binding: ModuleType | None = None) -> tuple[Gpu, ...]:
    """Every GPU, whoever made it, dedicated ones first. Never raises.

    `root` stands for /sys, `binding` for the module `pynvml` (see those modules). NVML counts where it answers, even
    where a container shows no PCI bus; a GPU of NVIDIA's that only the kernel sees says what is wrong with its driver.
    """
    listed, silence = nvml.read(binding)
    known = {each.bus for each in listed}
    kernel = [each for each in sysfs.read(root) if each.bus not in known]
    if silence is not None:
        kernel = [
            replace(each, trouble=each.trouble or silence) if each.vendor == "nvidia" else each for each in kernel
        ]
    return tuple(sorted((*listed, *kernel, *metal.read()), key=lambda each: not each.dedicated))
