# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of this machine's package manager: how what is missing gets installed."""

from __future__ import annotations

import shutil
import sys
from typing import Literal

Thing = Literal["compiler", "cmake", "ninja", "venv", "cuda", "vulkan", "rocm"]

_COMMANDS: dict[str, tuple[str, dict[Thing, str]]] = {
    "apt-get": ("sudo apt install", {
        "compiler": "build-essential", "cmake": "cmake", "ninja": "ninja-build", "venv": "python3-venv",
        "cuda": "nvidia-cuda-toolkit", "vulkan": "libvulkan-dev glslc spirv-headers",
        "rocm": "hipcc libhipblas-dev librocblas-dev",
    }),
    "dnf": ("sudo dnf install", {
        "compiler": "gcc gcc-c++ make", "cmake": "cmake", "ninja": "ninja-build", "venv": "python3",
        "cuda": "cuda-toolkit", "vulkan": "vulkan-devel glslc spirv-headers-devel",
        "rocm": "rocm-hip-devel hipblas-devel rocblas-devel",
    }),
    "pacman": ("sudo pacman -S", {
        "compiler": "base-devel", "cmake": "cmake", "ninja": "ninja", "venv": "python", "cuda": "cuda",
        "vulkan": "vulkan-headers vulkan-icd-loader shaderc spirv-headers", "rocm": "rocm-hip-sdk",
    }),
    "zypper": ("sudo zypper install", {
        "compiler": "gcc gcc-c++ make", "cmake": "cmake", "ninja": "ninja", "venv": "python3", "cuda": "cuda-toolkit",
        "vulkan": "vulkan-devel shaderc spirv-headers", "rocm": "rocm-hip-devel",
    }),
    "apk": ("sudo apk add", {
        "compiler": "build-base linux-headers", "cmake": "cmake", "ninja": "ninja", "venv": "python3",
        "vulkan": "vulkan-loader-dev vulkan-headers shaderc spirv-headers",
    }),
    "brew": ("brew install", {
        "cmake": "cmake", "ninja": "ninja", "venv": "python",
        "vulkan": "vulkan-headers vulkan-loader shaderc spirv-headers",
    }),
}  # fmt: skip
_BY_HAND: dict[Thing, str] = {
    "compiler": "install a C and C++ compiler (gcc and g++, or clang)",
    "cmake": "install cmake: https://cmake.org/download",
    "ninja": "install ninja: https://ninja-build.org",
    "venv": "install uv: https://docs.astral.sh/uv",
    "cuda": "install the CUDA toolkit: https://developer.nvidia.com/cuda-downloads",
    "vulkan": "install the Vulkan SDK: https://vulkan.lunarg.com/sdk/home",
    "rocm": "install ROCm: https://rocm.docs.amd.com",
}


def installs(thing: Thing) -> str:
    """The command that installs `thing` here, or where to get it."""
    if thing == "compiler" and sys.platform == "darwin":
        return "xcode-select --install"
    for manager, (command, names) in _COMMANDS.items():
        if thing in names and shutil.which(manager):
            return f"{command} {names[thing]}"
    return _BY_HAND[thing]
