# SPDX-License-Identifier: GPL-3.0-or-later
"""The small parts: names, records, what a compiler says, what an environment is given, which variables pass."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from environments import ROOT
from hypothesis import given
from hypothesis import strategies as st

from llama_orch.engines import child, code, flags, names, needs, packages, processor, progress, record, shelf, toolchain
from llama_orch.engines.installer import Installer, Source
from llama_orch.engines.place import Place, root
from llama_orch.engines.record import BACKENDS, EngineRecord, Speed
from llama_orch.engines.runtime import Runtime, runtime
from llama_orch_utils.errors import ConfigError

RECORD = EngineRecord(
    name="cpu", backend="cpu", kind="built", build="ab12", version="0.3.36", python="3.11.7", processor="Some CPU",
    flags=("GGML_CUDA=ON",), built_at="2026-11-21T00:00:00+00:00", seconds=3.5, amx=True, speed=Speed(10.0, 2.5),
)  # fmt: skip


def extra(name: str) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["optional-dependencies"][name]


def test_an_environment_holds_what_the_extra_local_names_for_the_worker() -> None:
    local = set(extra("local"))
    assert set(needs.WORKER) <= local
    assert f"{needs.ENGINE}{needs.ENGINE_VERSIONS}" in local
    utils = tomllib.loads((ROOT / "src/llama_orch_utils/pyproject.toml").read_text())["project"]["dependencies"]
    assert set(needs.SDK) <= set(utils)
    # What the worker does not import: fetching models, and asking the GPUs from the keeper's side.
    rest = {re.split(r"[<>=; ]", each)[0] for each in local - set(needs.WORKER)} - {needs.ENGINE}
    assert rest <= {"huggingface-hub", "nvidia-ml-py"}


@given(st.text(max_size=80))
def test_a_name_is_one_folder_or_refused(name: str) -> None:
    try:
        names.checked(name)
    except ConfigError:
        return
    assert Place(name).folder.parent == root()
    assert Place(name).folder.name == name
    assert not name.startswith(".")
    assert name != names.INSTALLED


@given(st.one_of(st.binary(max_size=200), st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["format", "name", "build", "version", "speed", "flags", "backend", "kind"]), inner
    ), max_leaves=12,
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_a_record_is_read_or_refused(content: bytes) -> None:
    try:
        assert isinstance(record.read(content), EngineRecord)
    except ValueError:
        return


def test_a_record_comes_back_as_it_was() -> None:
    assert record.read(RECORD.as_json()) == RECORD
    later = json.loads(RECORD.as_json()) | {"something": "new"}
    assert record.read(json.dumps(later).encode()) == RECORD
    with pytest.raises(ValueError, match="format"):
        record.read(json.dumps(later | {"format": 2}).encode())


@given(st.text())
def test_how_far_a_compiler_is_is_never_beyond_its_end(line: str) -> None:
    for text in (line, f"[3/240] {line}", f"[ 40%] Building {line}"):
        found = progress.position(text)
        assert found is None or 0 <= found[0] <= found[1]


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ("[3/240] Building CXX object ggml.o", (3, 240)),
        ("DEBUG [12/240] /usr/bin/g++ -O3", (12, 240)),
        ("[ 40%] Building C object x.o", (40, 100)),
        ("[241/240] odd", None),
        ("[0/0] ", None),
        ("copied [3/4]", None),
        ("", None),
    ],
)
def test_the_lines_of_ninja_and_make(line: str, at: tuple[int, int] | None) -> None:
    assert progress.position(line) == at


@pytest.mark.parametrize(
    ("lines", "first"),
    [
        (["x.cpp:3:1: error: expected ';'", "error: second"], "expected ';'"),
        (["CMake Error at CMakeLists.txt:3 (find_package):", "", "  Could not find CUDA"], "Could not find CUDA"),
        (["  × No solution found when resolving dependencies:"], "No solution found when resolving dependencies:"),
        (["ERROR: No matching distribution found for numpy"], "No matching distribution found for numpy"),
        (["x.cu:1: fatal error: cuda.h: No such file"], "cuda.h: No such file"),
        (["all is well"], ""),
    ],
)
def test_the_first_error_is_found(lines: list[str], first: str) -> None:
    assert progress.stumble(lines) == first


@pytest.mark.parametrize("uv", [None, "/usr/bin/uv"])
def test_neither_installer_takes_what_was_built_with_other_flags(tmp_path: Path, uv: str | None) -> None:
    tools = Installer(tmp_path, Source(links=("wheels",), offline=True), uv)
    words = tools.compile(needs.ENGINE, "llama-cpp-python>=0.3.36,<0.4", ("GGML_CUDA=ON", "A=b c"))
    assert ("--no-cache" in words) or ("--no-cache-dir" in words)
    assert {"--no-deps", "--no-index", str(Path("wheels").absolute())} <= set(words)
    assert any(word.endswith("cmake.define.A=b c") for word in words)
    assert "--only-binary" in tools.install(["numpy"])
    assert Source(index="https://x.example/simple").options() == ["--index-url", "https://x.example/simple"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_has_its_switch_and_the_users_own_come_last(backend: record.Backend) -> None:
    found = flags.flags(backend, ("GGML_NATIVE=OFF",)).definitions
    switch = {"cpu": "GGML_METAL=OFF", "cuda": "GGML_CUDA=ON", "metal": "GGML_METAL=ON", "vulkan": "GGML_VULKAN=ON",
              "rocm": "GGML_HIP=ON"}[backend]  # fmt: skip
    assert found[0] == switch
    assert found[-1] == "GGML_NATIVE=OFF"


def test_matrix_units_get_the_header_that_mends_gcc_and_flags_of_the_user_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXXFLAGS", "-fno-plt")
    using, without = flags.flags("cpu"), flags.flags("cpu", amx=False)
    if not processor.has_amx():
        assert not using.amx
        assert using.definitions == without.definitions
        return
    assert using.amx
    assert not without.amx
    assert f"CMAKE_CXX_FLAGS=-fno-plt {flags.WITHOUT_AMX}" in without.definitions
    if toolchain.is_gcc():
        assert f'CMAKE_CXX_FLAGS=-fno-plt -include "{flags.HEADER}"' in using.definitions


def test_the_header_compiles_and_names_all_64_bytes(tmp_path: Path) -> None:
    """The stores that GCC 12 drops are there, for C and C++; on other processors the header is empty."""
    source = tmp_path / "tiles.c"
    source.write_text(
        "#include <immintrin.h>\n"
        "void fill(void) { unsigned char all[64] = {1}; all[48] = 16; _tile_loadconfig(all); }\n"
        if os.uname().machine == "x86_64"
        else "int unused;\n"
    )
    switches = ["-mamx-tile"] if os.uname().machine == "x86_64" else []
    for compiler in filter(None, toolchain.compilers()):
        command = [compiler, "-O3", *switches, "-include", str(flags.HEADER), "-S", "-o", "-", str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        if switches:
            assert "ldtilecfg" in done.stdout
            assert re.search(r"movb\s+\$16,", done.stdout) or "16" in done.stdout


def test_what_an_installer_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "OPENAI_API_KEY", "MY_PASSWORD", "CMAKE_ARGS", "PYTHONPATH", "PIP_TARGET"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    monkeypatch.setenv("UV_INDEX_MINE_PASSWORD", "needed")
    found = child.variables({"TMPDIR": "/x"})
    assert "canary" not in found.values()
    assert (found["PIP_INDEX_URL"], found["UV_INDEX_MINE_PASSWORD"]) == ("https://index.example/simple", "needed")
    assert found["TMPDIR"] == "/x"


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    log = child.Log(tmp_path / "log")
    log.open()
    said: list[str] = []
    command = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"]
    status = child.run(command, environment=dict(os.environ), folder=tmp_path, log=log, heard=said.append, seconds=0.5)
    assert status == child.LATE
    assert "here" in said
    assert log.tail()[-1] == "here"


def test_a_command_that_is_not_there_fails(tmp_path: Path) -> None:
    log = child.Log(tmp_path / "log")
    log.open()
    said: list[str] = []
    status = child.run(["/no/such"], environment={}, folder=tmp_path, log=log, heard=said.append)
    assert status == 127
    assert any("cannot start /no/such" in line for line in said)


def test_the_code_folder_holds_our_two_packages_and_nothing_else(orch_home: Path) -> None:
    folder = code.folder()
    assert folder == code.folder()
    assert sorted(each.name for each in folder.iterdir()) == ["llama_orch", "llama_orch_utils"]
    (folder / "llama_orch").unlink()
    (folder / "llama_orch").symlink_to("/nowhere")
    assert (code.folder() / "llama_orch" / "engines").is_dir()
    assert shelf.records() == []


def test_an_engine_gets_no_variable_that_leads_it_elsewhere(orch_home: Path) -> None:
    given_variables = {"PYTHONPATH": "/mine", "VIRTUAL_ENV": "/mine", "LLAMA_CPP_LIB_PATH": "/mine", "HOME": "/home/me"}
    found = Runtime("cpu", "/x/python", RECORD).environment(given_variables)
    assert found == {"HOME": "/home/me", "PYTHONPATH": str(code.folder())}
    assert runtime("installed").environment(given_variables) == given_variables
    assert runtime("installed").command("m", "-x") == [sys.executable, "-P", "-m", "m", "-x"]


def test_every_package_manager_knows_every_thing_or_says_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    things: list[packages.Thing] = ["compiler", "cmake", "ninja", "venv", "cuda", "vulkan", "rocm"]
    monkeypatch.setenv("PATH", "")
    for thing in things:
        assert packages.installs(thing)
