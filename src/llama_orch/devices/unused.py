# SPDX-License-Identifier: GPL-3.0-or-later
"""A GPU that is there and that llama.cpp cannot use: why, and the command that mends it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from llama_orch.devices.device import Gpu, LlamaCpp, Vendor

_BACKENDS: dict[Vendor, str] = {"nvidia": "cuda", "amd": "rocm", "intel": "vulkan", "apple": "metal"}
_HIDING: dict[Vendor, tuple[str, ...]] = {
    "nvidia": ("CUDA_VISIBLE_DEVICES",),
    "amd": ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
    "intel": ("GGML_VK_VISIBLE_DEVICES",),
    "apple": (),
}
_DRIVERS: dict[Vendor, str] = {
    "nvidia": "nvidia-smi", "amd": "rocminfo", "intel": "vulkaninfo --summary", "apple": "orch doctor",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unused:
    """`gpu` is not used; `cause` in words, `mend` the command."""

    gpu: Gpu
    cause: str
    mend: str


def unused(present: Iterable[Gpu], build: LlamaCpp, environ: Mapping[str, str] | None = None) -> Unused | None:
    """The first dedicated GPU of `present` while `build` has none to compute on; None where all is well."""
    if build.gpus:
        return None
    gpu = next((each for each in present if each.dedicated), None)
    return None if gpu is None else _why(gpu, build, os.environ if environ is None else environ)


def _why(gpu: Gpu, build: LlamaCpp, environ: Mapping[str, str]) -> Unused:
    backend = _BACKENDS[gpu.vendor]
    if gpu.trouble is not None:
        return Unused(gpu, f"{gpu.name}: {gpu.trouble}", _DRIVERS[gpu.vendor])
    for name in _HIDING[gpu.vendor]:
        if name in environ and environ[name].strip() in {"", "-1"}:
            return Unused(gpu, f"{gpu.name} is hidden by {name}={environ[name]!r}", f"unset {name}")
    compiled = {each.backend.lower() for each in build.devices}
    if backend in compiled or "vulkan" in compiled:
        return Unused(gpu, f"llama.cpp's {backend} backend does not find {gpu.name}", _DRIVERS[gpu.vendor])
    return Unused(
        gpu,
        f"this build of llama.cpp has no {backend} backend for {gpu.name}",
        f"orch engine build --backend {backend}",
    )
