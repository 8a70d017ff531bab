# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs as the Linux kernel lists them: /sys/bus/pci/devices, and the memory that amdgpu, i915 and xe tell.

https://docs.kernel.org/gpu/amdgpu/driver-misc.html (`mem_info_vram_total`, `mem_info_vram_used`). `ORCH_SYSFS` names
another folder: a container that mounts the host's /sys elsewhere, or a machine that a test describes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from llama_orch.devices.device import Gpu, Vendor

VARIABLE = "ORCH_SYSFS"
_DISPLAY = "0x03"  # PCI class: display controllers (VGA, 3D, other)
_VENDORS: dict[str, Vendor] = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
_NAMES: dict[Vendor, str] = {"nvidia": "NVIDIA GPU", "amd": "AMD GPU", "intel": "Intel GPU", "apple": "Apple GPU"}
_SHARED_BELOW = 2 * 2**30
"""Less video memory than this is a window into the machine's own: a GPU in the processor."""


def root() -> Path:
    """The folder that stands for /sys."""
    return Path(os.environ.get(VARIABLE) or "/sys")


def read(where: Path | None = None) -> Iterator[Gpu]:
    """The GPUs of NVIDIA, AMD and Intel, by PCI address; none where there is no such folder."""
    devices = (where or root()) / "bus" / "pci" / "devices"
    try:
        folders = sorted(devices.iterdir())
    except OSError:
        return
    for folder in folders:
        vendor = _VENDORS.get(_word(folder / "vendor"))
        if vendor is not None and _word(folder / "class").startswith(_DISPLAY):
            yield _gpu(folder, vendor)


def _gpu(folder: Path, vendor: Vendor) -> Gpu:
    total, used = _memory(folder)
    named = _word(folder / "product_name") or f"{_NAMES[vendor]} [{_word(folder / 'device').removeprefix('0x')}]"
    driver = folder / "driver"
    return Gpu(
        vendor=vendor,
        name=named,
        source="sysfs",
        dedicated=vendor == "nvidia" or (total or 0) >= _SHARED_BELOW,
        total=total,
        free=None if total is None or used is None else max(0, total - used),
        bus=folder.name.lower(),
        driver=driver.resolve().name if driver.exists() else None,
        trouble=None if driver.exists() else "no driver is loaded for it",
    )


def _memory(folder: Path) -> tuple[int | None, int | None]:
    """Bytes in all and in use: amdgpu's files, else i915's `lmem_*` or xe's `vram` beside the card."""
    total = _number(folder / "mem_info_vram_total")
    if total is not None:
        return total, _number(folder / "mem_info_vram_used")
    for card in sorted(folder.glob("drm/card*")):
        total = _number(card / "lmem_total_bytes")
        if total is not None:
            free = _number(card / "lmem_avail_bytes")
            return total, None if free is None else total - free
    return _number(folder / "tile0" / "vram0" / "size"), None


def _word(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""


def _number(file: Path) -> int | None:
    try:
        return int(_word(file), 0)
    except ValueError:
        return None
