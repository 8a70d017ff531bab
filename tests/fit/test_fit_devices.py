# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine has and what llama.cpp can use of it.

The kernel's /sys is a folder here, laid out as its documentation says (ORCH_SYSFS names it); NVIDIA's driver is an
object that answers as NVML's reference says. llama.cpp is the real one.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest
from worker_process import start

from llama_orch.devices import hardware, llamacpp, nvml, sysfs
from llama_orch.devices.device import Device, LlamaCpp
from llama_orch.devices.unused import unused
from llama_orch_utils.errors import EngineFailed

GIB = 2**30
CPU_ONLY = LlamaCpp((Device("CPU", "CPU", "cpu", "a CPU", 0, 0),))


def pci(root: Path, bus: str, vendor: str, kind: str = "0x030000", driver: str | None = None, **files: object) -> None:
    """One PCI device in a folder that stands for /sys."""
    folder = root / "bus" / "pci" / "devices" / bus
    folder.mkdir(parents=True)
    for name, value in {"vendor": vendor, "class": kind, "device": "0x2b85", **files}.items():
        (folder / name).write_text(f"{value}\n")
    if driver:
        place = root / "bus" / "pci" / "drivers" / driver
        place.mkdir(parents=True, exist_ok=True)
        (folder / "driver").symlink_to(place)


class _NvmlError(Exception):
    pass


def driver(*memory: int, fails: bool = False) -> Any:
    """NVML with a GPU for each number of bytes."""
    module: Any = types.ModuleType("pynvml")
    module.NVMLError = _NvmlError

    def begin() -> None:
        if fails:
            raise _NvmlError("Driver Not Loaded")

    module.nvmlInit, module.nvmlShutdown = begin, lambda: None
    module.nvmlSystemGetDriverVersion = lambda: "580.95.05"
    module.nvmlDeviceGetCount = lambda: len(memory)
    module.nvmlDeviceGetHandleByIndex = lambda index: index
    module.nvmlDeviceGetName = lambda index: b"NVIDIA H200" if index else "NVIDIA H100"
    module.nvmlDeviceGetMemoryInfo = lambda index: types.SimpleNamespace(total=memory[index], free=memory[index] // 2)
    module.nvmlDeviceGetPciInfo = lambda index: types.SimpleNamespace(busId=f"00000000:C{index}:00.0")
    module.nvmlDeviceGetComputeRunningProcesses = lambda _: [types.SimpleNamespace(pid=7, usedGpuMemory=GIB)]
    return module


def test_llama_cpp_tells_its_devices_and_features() -> None:
    told = llamacpp.ask()
    assert [each.kind for each in told.devices][:1] == ["cpu"] or told.gpus
    cpu = next(each for each in told.devices if each.kind == "cpu")
    assert cpu.total > 2**28
    assert cpu.description
    assert told.features


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["false"], "exit status 1"),
        (["sh", "-c", "echo 'the driver is upset' >&2; kill -SEGV $$"], "the driver is upset"),
        (["/nonexistent/python"], "cannot be started"),
    ],
)
def test_a_build_that_dies_when_it_is_asked_is_told(command: list[str], words: str) -> None:
    with pytest.raises(EngineFailed, match=words):
        llamacpp.ask(command)


def test_the_kernel_lists_gpus(tmp_path: Path) -> None:
    pci(tmp_path, "0000:01:00.0", "0x10de", driver="nvidia")
    pci(tmp_path, "0000:03:00.0", "0x1002", driver="amdgpu", mem_info_vram_total=24 * GIB, mem_info_vram_used=GIB,
        product_name="Radeon Pro W7900")  # fmt: skip
    pci(tmp_path, "0000:00:02.0", "0x8086", driver="i915")
    pci(tmp_path, "0000:00:01.0", "0x1234")  # QEMU's screen
    pci(tmp_path, "0000:05:00.0", "0x10de", kind="0x040300")  # the sound of an NVIDIA card
    found = {each.bus: each for each in sysfs.read(tmp_path)}
    assert sorted(found) == ["0000:00:02.0", "0000:01:00.0", "0000:03:00.0"]
    amd = found["0000:03:00.0"]
    assert (amd.vendor, amd.name, amd.total, amd.free) == ("amd", "Radeon Pro W7900", 24 * GIB, 23 * GIB)
    assert [found[bus].dedicated for bus in sorted(found)] == [False, True, True]
    assert list(sysfs.read(tmp_path / "nothing")) == []


def test_a_gpu_in_the_processor_is_not_demanded(tmp_path: Path) -> None:
    pci(tmp_path, "0000:04:00.0", "0x1002", driver="amdgpu", mem_info_vram_total=GIB // 2, mem_info_vram_used=0)
    present = hardware.found(tmp_path, driver(fails=True))
    assert [each.dedicated for each in present] == [False]
    assert unused(present, CPU_ONLY, {}) is None


def test_nvml_and_the_kernel_speak_of_the_same_gpu(tmp_path: Path) -> None:
    pci(tmp_path, "0000:c0:00.0", "0x10de", driver="nvidia")
    found = hardware.found(tmp_path, driver(80 * GIB, 141 * GIB))
    assert [(each.source, each.name, each.bus) for each in found] == [
        ("nvml", "NVIDIA H100", "0000:c0:00.0"),
        ("nvml", "NVIDIA H200", "0000:c1:00.0"),
    ]
    assert found[0].used_by == {7: GIB}
    assert nvml.bus("00000001:0A:00.0") == "0001:0a:00.0"


@pytest.mark.parametrize(
    ("vendor", "answers", "environ", "words", "mend"),
    [
        ("0x10de", True, {}, "no cuda backend", "orch engine build --backend cuda"),
        ("0x10de", False, {}, "Driver Not Loaded", "nvidia-smi"),
        ("0x10de", True, {"CUDA_VISIBLE_DEVICES": ""}, "hidden by CUDA_VISIBLE_DEVICES", "unset CUDA_VISIBLE_DEVICES"),
        ("0x10de", True, {"CUDA_VISIBLE_DEVICES": "-1"}, "hidden by", "unset CUDA_VISIBLE_DEVICES"),
        ("0x1002", True, {}, "no rocm backend", "orch engine build --backend rocm"),
        ("0x8086", True, {}, "no vulkan backend", "orch engine build --backend vulkan"),
    ],
)
def test_why_a_gpu_is_not_used(
    tmp_path: Path, vendor: str, answers: bool, environ: dict[str, str], words: str, mend: str
) -> None:
    memory = {"mem_info_vram_total": 16 * GIB, "mem_info_vram_used": 0}
    pci(tmp_path, "0000:c0:00.0", vendor, driver="some", **memory)
    nvidia = vendor == "0x10de"
    binding = driver(*([80 * GIB] if nvidia and answers else []), fails=nvidia and not answers)
    found = unused(hardware.found(tmp_path, binding), CPU_ONLY, environ)
    assert found is not None
    assert words in found.cause
    assert found.mend == mend
    cuda = Device("CUDA0", "CUDA", "gpu", "a GPU", GIB, GIB, number=0)
    assert unused(hardware.found(tmp_path, binding), LlamaCpp((cuda,)), environ) is None


def test_a_worker_does_not_run_on_the_cpu_beside_an_idle_gpu(
    tmp_path: Path, tiny_gguf: Path, orch_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pci(tmp_path, "0000:03:00.0", "0x1002", driver="amdgpu", mem_info_vram_total=24 * GIB, mem_info_vram_used=GIB)
    monkeypatch.setenv(sysfs.VARIABLE, str(tmp_path))
    for options in ((), ("--gpu", "require")):
        worker = start(orch_home, tiny_gguf, *options)
        said = worker.read_said()[-1]
        worker.end()
        assert (said["event"], said["code"]) == ("failed", "gpu_unused")
        assert "no rocm backend" in said["message"]
        assert said["hint"] == "orch engine build --backend rocm, or go on without it: --gpu off"
    allowed = start(orch_home, tiny_gguf, "--gpu", "off")
    assert allowed.read_said()[-1]["event"] == "ready", allowed.log
    health = allowed.health()
    allowed.end()
    assert (health["layers_gpu"], health["layers_total"], health["devices"]) == (0, 3, ["CPU"])


def test_require_without_a_gpu_fails(tiny_gguf: Path, orch_home: Path, tmp_path: Path) -> None:
    for options, code in (
        (("--gpu", "require"), "gpu_missing"),
        (("--gpu", "require", "--gpu-layers", "0"), "config_error"),
        (("--gpus", "3"), "gpu_missing"),
    ):
        worker = start(orch_home, tiny_gguf, *options)
        said = worker.read_said()[-1]
        worker.end()
        assert (said["event"], said["code"]) == ("failed", code), options
