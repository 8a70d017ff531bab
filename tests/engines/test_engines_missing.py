# SPDX-License-Identifier: GPL-3.0-or-later
"""What is missing is named before anything is built, and `orch run` without an engine offers one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest
from engine_home import Orch, offline
from engines_waiting import WAIT

from llama_orch.engines import processor

ENGINELESS = """
import importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "llama_cpp" else real(name, package)
from llama_orch.cli.main import main
sys.exit(main())
"""
"""`orch` in an environment without the extra `local`."""


APT = "sudo apt install build-essential"
XCODE = "xcode-select --install" if sys.platform == "darwin" else ""
"""What installs a compiler on macOS, whatever package manager is there."""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with a shell and nothing to build with."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("sh", "env"):
        (folder / name).symlink_to(shutil.which(name) or "")
    return folder


def script(folder: Path, name: str, text: str = "exit 0") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def without_engine(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", ENGINELESS, *words],
        stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}, capture_output=True, timeout=WAIT, check=False,
        start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("manager", "command"),
    [
        ("apt-get", APT),
        ("dnf", "sudo dnf install gcc gcc-c++ make"),
        ("pacman", "sudo pacman -S base-devel"),
        ("zypper", "sudo zypper install gcc gcc-c++ make"),
        ("apk", "sudo apk add build-base linux-headers"),
        (None, "install a C and C++ compiler (gcc and g++, or clang)"),
    ],
)
def test_a_missing_compiler_is_named_with_the_command_of_this_system(
    run_orch: Orch, tools: Path, engines: Path, packages: Path, manager: str | None, command: str
) -> None:
    if manager:
        script(tools, manager)
    done = run_orch("engine", "build", *offline(packages), "--backend", "cpu", env={"PATH": str(tools)})
    words = done.stderr.decode()
    assert done.returncode == 1
    assert "error: the engine cannot be built: no C and C++ compiler; no cmake" in words
    assert "without a compiler: orch engine build --prebuilt (made for any processor, so slower)" in words
    assert words.endswith(f"hint: {XCODE or command}\n")
    assert not engines.exists()


def test_a_compiler_without_headers_is_missing_too(run_orch: Orch, tools: Path, engines: Path) -> None:
    script(tools, "cc")
    script(tools, "c++", "exit 1")
    done = run_orch("engine", "build", "--backend", "cpu", env={"PATH": str(tools)})
    assert done.returncode == 1
    assert b"cannot compile: the headers of C and C++ are missing" in done.stderr
    assert not engines.exists()


@pytest.mark.parametrize(
    ("backend", "what"),
    [
        ("rocm", "no ROCm (hipconfig)"),
        ("vulkan", "no Vulkan shader compiler (glslc)"),
        ("metal", "Metal is there on macOS only"),
    ],
)
def test_a_missing_toolkit_is_named(run_orch: Orch, tools: Path, engines: Path, backend: str, what: str) -> None:
    for name in ("cc", "c++", "cmake", "ninja"):
        script(tools, name)
    script(tools, "apt-get")
    done = run_orch(
        "engine", "build", "--backend", backend, env={"PATH": str(tools), "ROCM_PATH": "", "VULKAN_SDK": ""}
    )
    words = done.stderr.decode()
    assert done.returncode == 1
    assert f"error: the engine cannot be built: {what}" in words
    hints = {"rocm": "sudo apt install hipcc", "vulkan": "sudo apt install libvulkan-dev", "metal": "orch engine build"}
    assert f"hint: {hints[backend]}" in words
    assert not engines.exists()


def test_vulkan_headers_and_cuda_are_looked_for(run_orch: Orch, tools: Path, tmp_path: Path) -> None:
    script(tools, "cc")
    script(tools, "c++", "grep -q vulkan && exit 1 || exit 0")
    (tools / "grep").symlink_to(shutil.which("grep") or "")
    script(tools, "glslc")
    done = run_orch("engine", "build", "--backend", "vulkan", env={"PATH": str(tools)})
    assert b"no Vulkan headers (vulkan/vulkan.h)" in done.stderr
    gone = {"PATH": str(tools), "CUDACXX": str(tmp_path / "nvcc")}
    done = run_orch("engine", "build", "--backend", "cuda", env=gone)
    assert b"no CUDA toolkit (nvcc)" in done.stderr
    assert b"hint: " in done.stderr


def test_cuda_without_a_gpu_has_to_be_told_for_which(run_orch: Orch, tools: Path, engines: Path) -> None:
    for name in ("cc", "c++", "nvcc"):
        script(tools, name)
    done = run_orch("engine", "build", "--backend", "cuda", env={"PATH": str(tools), "UV": "/bin/false"})
    if processor.backend() == "cuda":
        assert b"no NVIDIA GPU" not in done.stderr
    else:
        assert b"no NVIDIA GPU is here, and none is named by its architecture" in done.stderr
        assert b"hint: orch engine build --backend cuda -D CMAKE_CUDA_ARCHITECTURES=90" in done.stderr
        assert not engines.exists()


def test_an_index_out_of_reach_is_called_so(run_orch: Orch, engines: Path) -> None:
    done = run_orch("engine", "build", "--prebuilt", "--index-url", "http://127.0.0.1:9/simple", env={
        "UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "2",
    })  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert b"the package index cannot be reached" in done.stderr
    assert [each.name for each in (engines / "prebuilt").iterdir()] == ["lock"]


def test_a_run_without_any_engine_says_the_command(orch_home: Path) -> None:
    done = without_engine("run", "hello")
    words = done.stderr.decode()
    assert (done.returncode, done.stdout) == (1, b"")
    assert "error: the local engine is not installed (llama_cpp)" in words
    assert words.endswith("hint: orch engine build\n")
    assert not (orch_home / "data" / "engines").exists()


def test_a_run_without_an_engine_in_use_names_the_one_that_is_there(run_orch: Orch, build: Orch) -> None:
    assert build("--backend", "cpu", "--no-use").returncode == 0
    done = without_engine("run", "hello")
    assert done.returncode == 1
    assert done.stderr.endswith(b"hint: orch engine use cpu\n")
    assert run_orch("engine", "use", "cpu").returncode == 0
    assert without_engine("run", "-q", "What is the Public Tap?").stdout.startswith(b"The Public Tap")


def on_a_terminal(env: dict[str, str]) -> Any:
    words = ["run", "What is the Public Tap?"]
    given = {**os.environ, "TERM": "xterm", **env}
    return pexpect.spawn(sys.executable, ["-c", ENGINELESS, *words], env=given, timeout=WAIT, dimensions=(24, 120))


def test_on_a_terminal_it_offers_to_build_one_and_then_answers(orch_home: Path, packages: Path, tmp_path: Path) -> None:
    # With a cache of its own: what uv knows of an index from elsewhere would count as well.
    cache = str(tmp_path / "cache")
    child = on_a_terminal({"UV_OFFLINE": "1", "UV_FIND_LINKS": str(packages), "UV_CACHE_DIR": cache})
    child.expect_exact("Build llama.cpp for cpu now? It takes some minutes. [y/N] ")
    child.sendline("y")
    child.expect_exact("the engine cpu is in use (orch engine ls)")
    child.expect_exact("prepaid credits")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_a_no_changes_nothing(orch_home: Path) -> None:
    child = on_a_terminal({})
    child.expect_exact("[y/N] ")
    child.sendline("")
    child.expect_exact("orch engine build\r\n")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1
    assert not list((orch_home / "data").glob("engines/*"))


def test_without_a_compiler_it_offers_the_prebuilt_one_and_says_that_it_is_slower(tools: Path, orch_home: Path) -> None:
    script(tools, "apt-get")
    child = on_a_terminal({"PATH": str(tools)})
    child.expect_exact(f"no C and C++ compiler to build one (mend it: {XCODE or APT})")
    child.expect_exact("Take a prebuilt one instead? It is slower. [y/N] ")
    child.sendline("n")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1


def findings(done: subprocess.CompletedProcess[bytes]) -> dict[str, dict[str, str]]:
    return {each["name"]: each for each in json.loads(done.stdout)}


def failing(done: subprocess.CompletedProcess[bytes]) -> list[tuple[str, str]]:
    return [(name, each["hint"]) for name, each in findings(done).items() if each["state"] == "fail"]


def test_doctor_names_the_one_thing_that_is_missing(tools: Path, orch_home: Path) -> None:
    done = without_engine("doctor", "--json")
    assert failing(done) == [("engine", "orch engine build")]
    script(tools, "apt-get")
    done = without_engine("doctor", "--json", env={"PATH": str(tools)})
    assert failing(done) == [("compiler", XCODE or APT)]
    assert "orch engine build --prebuilt" in findings(done)["compiler"]["message"]


def test_doctor_examines_the_engine_in_use(run_orch: Orch, build: Orch, engines: Path, tools: Path) -> None:
    assert build("--backend", "cpu").returncode == 0
    found = findings(run_orch("doctor", "--json", env={"PATH": str(tools)}))
    assert found["engine"]["message"] == "cpu: llama-cpp-python 0.3.36 for cpu"
    assert {found[name]["state"] for name in ("engine", "smoke test", "compiler")} == {"ok"}
    assert "none needed" in found["compiler"]["message"]
    record = engines / "cpu" / "engine.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "processor": "Other"}))
    found = findings(run_orch("doctor", "--json"))
    assert (found["engine"]["state"], found["engine"]["hint"]) == ("warn", "orch engine build --backend cpu --name cpu")
    shutil.rmtree(engines / "cpu")
    done = run_orch("doctor", "--json")
    assert failing(done) == [("engine", "orch engine ls")]
