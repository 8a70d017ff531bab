# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch engine build`: real environments, a stand-in for the compiler, the real library, real workers on it."""

from __future__ import annotations

import json
import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_home import Orch, left_behind, offline
from engines_waiting import arguments_of
from processes import workers_of

from llama_orch.engines import processor, toolchain

Listed = Callable[[], dict[str, dict[str, Any]]]
ARGUMENTS = {"backend": "cpu", "kind": "built", "version": "0.3.36", "state": "ok"}


def own_packages() -> list[str]:
    return sorted(each.name for each in Path(sysconfig.get_paths()["purelib"]).iterdir())


def worker_python(home: Path) -> str:
    (pid,) = workers_of(home)
    return arguments_of(pid)[0]


def test_a_build_answers_and_the_way_back_is_one_word(
    build: Orch, run_orch: Orch, listed: Listed, orch_home: Path
) -> None:
    before = own_packages()
    done = build("--backend", "cpu", "--json")
    assert done.returncode == 0, done.stderr
    assert b"\r" not in done.stderr
    assert b"\x1b" not in done.stderr
    said = done.stderr.decode().splitlines()
    assert said[0].startswith("making an environment with uv")
    assert any(line.startswith("compiling llama.cpp for cpu") for line in said)
    assert said[-1] == "cpu is in use; the way back: orch engine use installed"
    row = listed()["cpu"]
    assert ARGUMENTS.items() <= row.items()
    assert row == json.loads(done.stdout)
    assert row["in_use"]
    assert not listed()["installed"]["in_use"]
    assert row["size"] > 10_000_000
    assert row["processor"] == processor.name()
    assert row["build_seconds"] > 0
    assert own_packages() == before

    answer = run_orch("run", "-q", "What is the Public Tap?")
    assert b"prepaid credits" in answer.stdout, answer.stderr
    assert worker_python(orch_home) == f"{row['path']}/bin/python"
    refused = run_orch("engine", "rm", "cpu")
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"a worker runs on cpu" in refused.stderr
    assert b"orch stop --all" in refused.stderr

    back = run_orch("engine", "use", "installed")
    assert b"the way back: orch engine use cpu" in back.stderr
    assert b"prepaid credits" in run_orch("run", "-q", "What is the Public Tap?").stdout
    assert len(workers_of(orch_home)) == 2
    assert run_orch("stop", "--all").returncode == 0
    assert run_orch("engine", "rm", "cpu", "-q").stdout == b"cpu\n"
    assert list(listed()) == ["installed"]
    assert not (orch_home / "data" / "engines" / "cpu").exists()


def test_removing_the_one_in_use_says_what_runs_instead(build: Orch, run_orch: Orch, listed: Listed) -> None:
    assert build("--name", "mine", "-q").stdout == b"mine\n"
    done = run_orch("engine", "rm", "mine")
    assert b"mine was in use: local models run on the installed engine again" in done.stderr
    assert listed()["installed"]["in_use"]


def test_several_live_side_by_side_and_no_use_leaves_the_choice(build: Orch, run_orch: Orch, listed: Listed) -> None:
    assert build("--backend", "cpu", "--name", "one").returncode == 0
    done = build("--backend", "cpu", "--name", "two", "--no-use")
    assert done.stderr.decode().splitlines()[-1] == "use it: orch engine use two"
    rows = listed()
    assert [name for name, row in rows.items() if row["in_use"]] == ["one"]
    assert list(rows) == ["installed", "one", "two"]
    assert run_orch("engine", "use", "two", "-q").stdout == b"two\n"
    assert run_orch("config", "ls", "--json").stdout.count(b'"two"') == 1
    near = run_orch("engine", "use", "tow")
    assert near.returncode == 1
    assert b"did you mean 'two'?" in near.stderr
    assert b"orch engine use two" in near.stderr


def test_without_uv_the_environment_is_pythons_own(build: Orch, listed: Listed, run_orch: Orch, tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    for tool in ("cc", "c++", "sh", "cmake", "ninja", "ps"):
        found = shutil.which(tool)
        if found:
            (bare / tool).symlink_to(found)
    done = build("--backend", "cpu", env={"UV": "", "PATH": str(bare)})
    assert done.returncode == 0, done.stderr
    assert b"making an environment with pip" in done.stderr
    assert (Path(listed()["cpu"]["path"]) / "bin" / "pip").exists()
    assert b"prepaid credits" in run_orch("run", "-q", "What is the Public Tap?").stdout


def test_the_compiler_is_told_what_the_backend_needs_and_no_secret(build: Orch, tmp_path: Path) -> None:
    note, canary = tmp_path / "note", "canary-7f3a"
    env = {"STAND_IN_NOTE": str(note), "HF_TOKEN": canary, "ORCH_API_KEY": canary, "CMAKE_ARGS": "-DGGML_CUDA=ON"}
    done = build("--backend", "cpu", "-D", "GGML_AVX512=OFF", "--jobs", "1", "--name", "odd", env=env)
    assert done.returncode == 0, done.stderr
    said = json.loads(note.read_text())
    settings = said["settings"]
    assert settings["cmake.define.GGML_AVX512"] == "OFF"
    assert settings["cmake.define.LLAVA_BUILD"] == "ON"  # images
    amx = processor.has_amx() and toolchain.is_gcc()
    assert ("amx.h" in settings.get("cmake.define.CMAKE_CXX_FLAGS", "")) is amx
    assert said["environment"]["CMAKE_BUILD_PARALLEL_LEVEL"] == "1"
    assert "CMAKE_ARGS" not in said["environment"]
    assert canary not in note.read_text()
    assert not Path(said["environment"]["TMPDIR"]).exists()


def test_a_compiler_error_is_shown_and_what_was_there_stays(
    build: Orch, run_orch: Orch, engines: Path, orch_home: Path
) -> None:
    assert build("--backend", "cpu", "-q").returncode == 0
    record = (engines / "cpu" / "engine.json").read_bytes()
    done = build("--backend", "cpu", env={"STAND_IN": "fails"})
    assert done.returncode == 3
    words = done.stderr.decode()
    assert "error: the engine cpu could not be built: expected ';' before 'int'" in words
    log = orch_home / "state" / "logs" / "engine-cpu.log"
    assert f"hint: its log tells more: {log}" in words
    assert "expected ';' before 'int'" in log.read_text()
    assert (engines / "cpu" / "engine.json").read_bytes() == record
    assert left_behind(engines / "cpu") == [json.loads(record)["build"]]
    assert b"prepaid credits" in run_orch("run", "-q", "What is the Public Tap?").stdout


def test_a_full_disk_is_called_so(build: Orch, engines: Path) -> None:
    done = build("--backend", "cpu", env={"STAND_IN": "full"})
    assert done.returncode == 1
    assert b"error: the disk is full" in done.stderr
    assert b"hint: make room" in done.stderr
    assert left_behind(engines / "cpu") == []


def test_a_build_that_crashes_is_never_in_use(build: Orch, listed: Listed, engines: Path) -> None:
    done = build("--backend", "cpu", env={"STAND_IN": "broken"})
    assert done.returncode == 3
    assert b"it was built, and then crashes (SIGILL)" in done.stderr
    assert list(listed()) == ["installed"]
    assert left_behind(engines / "cpu") == []


def test_where_the_matrix_units_crash_it_is_built_again_without(build: Orch, listed: Listed, tmp_path: Path) -> None:
    """On a processor without them there is nothing to leave out, and the first build stands."""
    note = tmp_path / "note"
    done = build("--backend", "cpu", env={"STAND_IN": "amx-broken", "STAND_IN_NOTE": str(note)})
    assert done.returncode == 0, done.stderr
    assert listed()["cpu"]["amx"] is False
    if processor.has_amx() and toolchain.is_gcc():
        assert b"warning: with AMX it crashes (SIGILL); building it again without" in done.stderr
        assert "-U__AMX_TILE__" in json.loads(note.read_text())["settings"]["cmake.define.CMAKE_CXX_FLAGS"]


def test_the_speed_before_and_after_is_shown(run_orch: Orch, packages: Path, listed: Listed) -> None:
    done = run_orch("engine", "build", *offline(packages), "--backend", "cpu")
    assert done.returncode == 0, done.stderr
    said = done.stderr.decode()
    assert "before (installed): " in said
    assert "after (cpu): " in said
    row = listed()["cpu"]
    assert row["tokens_per_second"] > 0
    assert row["prompt_tokens_per_second"] > 0


def test_a_worker_keeps_the_build_that_it_runs_on(build: Orch, run_orch: Orch, engines: Path, orch_home: Path) -> None:
    assert build("--backend", "cpu").returncode == 0
    first = left_behind(engines / "cpu")
    assert run_orch("run", "-q", "hello").returncode == 0
    assert build("--backend", "cpu").returncode == 0
    assert len(left_behind(engines / "cpu")) == 2
    assert set(first) < set(left_behind(engines / "cpu"))
    assert run_orch("run", "-q", "hello").returncode == 0
    assert run_orch("stop", "--all").returncode == 0
    assert build("--backend", "cpu").returncode == 0
    assert len(left_behind(engines / "cpu")) == 1


def test_an_engine_that_has_lost_its_python_says_how_to_mend_it(build: Orch, run_orch: Orch, listed: Listed) -> None:
    assert build("--backend", "cpu").returncode == 0
    (Path(listed()["cpu"]["path"]) / "bin" / "python").unlink()
    assert listed()["cpu"]["state"] == "broken"
    done = run_orch("run", "hello")
    assert done.returncode == 1
    assert b"has lost its Python" in done.stderr
    assert b"hint: orch engine build --backend cpu --name cpu" in done.stderr


def test_an_engine_of_an_earlier_orch_is_built_again(
    build: Orch, run_orch: Orch, listed: Listed, engines: Path
) -> None:
    assert build("--backend", "cpu").returncode == 0
    record = engines / "cpu" / "engine.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"packages": ["numpy"]}))
    assert listed()["cpu"]["state"] == "outdated"
    done = run_orch("run", "hello")
    assert done.returncode == 1
    assert b"built by another version of orch, and lacks diskcache" in done.stderr
    assert b"hint: orch engine build --backend cpu --name cpu" in done.stderr


def test_a_record_that_is_damaged_is_no_engine(build: Orch, run_orch: Orch, listed: Listed, engines: Path) -> None:
    assert build("--backend", "cpu", "--no-use").returncode == 0
    for damage in (b"", b"{", b"[]", b'{"format": 99}', b'{"format": 1, "name": "cpu"}', b'{"format": 1}\xff'):
        (engines / "cpu" / "engine.json").write_bytes(damage)
        assert list(listed()) == ["installed"]
    assert build("--backend", "cpu").returncode == 0
    assert run_orch("run", "-q", "hello").returncode == 0


def test_the_variable_counts_before_the_choice_and_it_is_said(build: Orch, run_orch: Orch, orch_home: Path) -> None:
    assert build("--backend", "cpu", "--no-use").returncode == 0
    done = run_orch("engine", "use", "cpu", env={"ORCH_ENGINE": "installed"})
    assert b"warning: ORCH_ENGINE=installed is set, and counts before it" in done.stderr
    assert run_orch("run", "-q", "hello", env={"ORCH_ENGINE": "installed"}).returncode == 0
    assert worker_python(orch_home) == sys.executable
    gone = run_orch("run", "hello", env={"ORCH_ENGINE": "cpuu"})
    assert gone.returncode == 1
    assert b"did you mean 'cpu'?" in gone.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--name", "../x"), "cannot be an engine's name"),
        (("--name", "installed"), "which orch never changes"),
        (("--name", ".hidden"), "cannot be an engine's name"),
        (("-D", "GGML_X"), "-D needs NAME=VALUE"),
        (("--version", "1; rm"), "--version needs a version"),
        (("--prebuilt", "-D", "A=1"), "not configured by -D"),
        (("--prebuilt", "--backend", "cuda"), "no prebuilt engine for cuda"),
        (("--offline",), "--offline needs --find-links"),
        (("--index-url", "https://me:pw@index.example/simple"), "must hold no password"),
        (("--backend", "cudaa"), "did you mean 'cuda'?"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_done(
    run_orch: Orch, engines: Path, words: tuple[str, ...], said: str
) -> None:
    done = run_orch("engine", "build", *words)
    assert done.returncode in (1, 2)
    assert said in done.stderr.decode()
    assert b"hint: " in done.stderr
    assert b"Traceback" not in done.stderr
    assert not engines.exists()
