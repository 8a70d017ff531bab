# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch applet install | ls | rm | upgrade | verify`, with the real command and real environments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import applet_house
import pytest

from llama_orch.applets import source, wheel
from llama_orch_utils.errors import AppletError


def rows(run_orch):
    done = run_orch("applet", "ls", "--json")
    assert done.returncode == 0, done.stderr
    return {row["id"]: row for row in json.loads(done.stdout)}, done.stderr.decode()


def said(done) -> str:
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.stderr.decode()


def test_the_life_of_an_applet(install, run_orch, tmp_path, orch_home, tap):
    first = applet_house.write_wheel(tmp_path, "echo")
    done = install(first)
    assert done.returncode == 0, said(done)
    shown = said(done)
    assert "no files; network: the target only" in shown
    assert "applet-echo (MIT)" in shown
    lock = (orch_home / "data" / "applets" / "applets.lock").read_text()
    assert "sha256:" in lock
    (requirements,) = (orch_home / "data" / "applets" / "echo").glob("*/requirements.txt")
    pinned = [line for line in requirements.read_text().splitlines() if "==" in line]
    assert len(pinned) > 5
    assert requirements.read_text().count("--hash=sha256:") >= len(pinned)

    row = rows(run_orch)[0]["echo"]
    assert (row["package"], row["version"], row["licence"]) == ("applet-echo", "1.0", "MIT")
    assert row["source"] == str(first)
    assert row["enforced"] == {"files": True, "network": True}
    env = {"ORCH_TARGET": tap.url, "ORCH_API_KEY": tap.key}
    ran = run_orch("echo", "--text", "hello", "--times", "2", "--json", env=env)
    assert json.loads(ran.stdout) == {"said": "hello hello"}, ran.stderr
    assert run_orch("applet", "verify").returncode == 0

    # Two versions of one id.
    second = applet_house.write_wheel(tmp_path / "new", "echo", version="1.1")
    again = install(second)
    assert again.returncode == 1
    assert "applet-echo 1.0; this is applet-echo 1.1" in said(again)
    assert "orch applet upgrade echo" in said(again)

    up = run_orch("applet", "upgrade", "--yes", "echo", str(second),
                  "--find-links", str(tmp_path.parent / "none"), env=env)  # fmt: skip
    assert up.returncode == 1, "its packages are nowhere to be had without the folder"
    assert rows(run_orch)[0]["echo"]["version"] == "1.0", "the old one stays where the new one fails"

    assert run_orch("applet", "rm", "echo").returncode == 0
    assert "echo" not in rows(run_orch)[0]
    assert not (orch_home / "data" / "applets" / "echo").exists()
    gone = run_orch("applet", "rm", "echo")
    assert gone.returncode == 1
    assert "no applet echo is installed here" in said(gone)


def test_upgrade_from_where_it_came_and_what_it_asks_anew(install, run_orch, tmp_path, applet_packages):
    where = tmp_path / "project"
    _project(where, "1.0")
    assert install(where).returncode == 0
    _project(where, "2.0", '[permissions]\nfiles = {read = ["inputs"]}\n')
    words = ["--find-links", str(applet_packages), "--offline"]
    asked = run_orch("applet", "upgrade", "echo", *words)
    assert asked.returncode == 2, "it asks for more than before, and nobody is there to be asked"
    assert "read inputs" in said(asked)
    assert run_orch("applet", "upgrade", "echo", *words, "--yes").returncode == 0
    row = rows(run_orch)[0]["echo"]
    assert (row["version"], row["permissions"]) == ("2.0", "read inputs; network: the target only")


def test_a_package_by_its_name(install, run_orch, tmp_path):
    applet_house.write_wheel(tmp_path, "echo", version="1.2")
    done = install("--find-links", tmp_path, "applet-echo>=1.1")
    assert done.returncode == 0, said(done)
    assert rows(run_orch)[0]["echo"]["source"] == "applet-echo>=1.1"
    missing = install("--find-links", tmp_path, "applet-that-is-nowhere")
    assert missing.returncode == 1
    assert "applet-that-is-nowhere" in said(missing)


def test_nobody_to_ask_means_no(run_orch, tmp_path, applet_packages):
    path = applet_house.write_wheel(tmp_path, "echo")
    done = run_orch("applet", "install", "--find-links", str(applet_packages), "--offline", str(path))
    assert done.returncode == 2
    assert "nothing was installed" in said(done)
    assert "echo" not in rows(run_orch)[0]


def test_a_changed_byte_is_found(install, run_orch, tmp_path, orch_home):
    assert install(applet_house.write_wheel(tmp_path, "echo")).returncode == 0
    (code,) = (orch_home / "data" / "applets" / "echo").glob("*/env/lib/python3*/site-packages/applet_echo/__init__.py")
    code.write_text(code.read_text() + "\n# changed\n")
    done = run_orch("applet", "verify")
    assert done.returncode == 1
    assert "applet_echo/__init__.py was changed" in said(done)
    (code.parent.parent / "more.pth").write_text("import os\n")
    assert "more.pth belongs to no package" in said(run_orch("applet", "verify", "echo"))
    assert run_orch("applet", "verify", "nobody").returncode == 1


def test_a_broken_one_is_one_warning_line_and_the_rest_works(install, run_orch, tmp_path, orch_home, tap):
    assert install(applet_house.write_wheel(tmp_path, "echo")).returncode == 0
    assert install(applet_house.write_wheel(tmp_path, "other")).returncode == 0
    for python in (orch_home / "data" / "applets" / "echo").glob("*/env/bin/python*"):
        python.unlink()
    found, words = rows(run_orch)
    assert [line for line in words.splitlines() if "echo" in line] == [
        "warning: applet echo cannot be loaded: the Python of its environment is gone; orch applet upgrade echo"
    ]
    assert found["echo"]["error"]
    ran = run_orch("other", "--text", "x", "--json", env={"ORCH_TARGET": tap.url, "ORCH_API_KEY": tap.key})
    assert json.loads(ran.stdout) == {"said": "x"}, ran.stderr
    broken = run_orch("echo", "--text", "x")
    assert broken.returncode == 1
    assert "orch applet upgrade echo" in said(broken)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise RuntimeError('no luck')", "no luck"),
        ("def echo(): pass", "does not start"),
        ("import os; os._exit(1)", "does not start"),
    ],
    ids=["raises", "no-applet", "dies"],
)
def test_one_that_does_not_start_is_not_installed(install, run_orch, tmp_path, orch_home, body, words):
    done = install(applet_house.write_wheel(tmp_path, "echo", body=body))
    assert done.returncode == 1
    assert words in said(done)
    assert not list((orch_home / "data" / "applets").glob("echo*"))
    assert not list((orch_home / "data" / "applets").glob(".offer*"))


def test_without_uv_it_is_pip(install, run_orch, tmp_path, orch_home):
    path = applet_house.write_wheel(tmp_path, "echo")
    done = install(path, env={"UV": "/nonexistent"})
    assert done.returncode == 0, said(done)
    assert "making an environment with pip" in said(done)
    (requirements,) = (orch_home / "data" / "applets" / "echo").glob("*/requirements.txt")
    assert "applet-echo==1.0 --hash=sha256:" in requirements.read_text()
    assert run_orch("applet", "verify").returncode == 0


def test_a_lock_that_is_damaged_says_so(run_orch, orch_home):
    folder = orch_home / "data" / "applets"
    folder.mkdir(parents=True)
    (folder / "applets.lock").write_text("format = 1\n[[applet]]\nid = 3\n")
    done = run_orch("applet", "ls")
    assert done.returncode == 1
    assert "is damaged" in said(done)


def test_beside_orch_and_installed_is_an_error_that_names_both(run_orch, install, tmp_path):
    done = install(applet_house.write_wheel(tmp_path, "summarize"))
    assert done.returncode == 1
    assert "there is an applet summarize already: llama-orch-applet-summarize lies beside orch" in said(done)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("colour = 3\n", "colour is a field that nobody knows"),
        ('[permissions]\ncamera = ["on"]\n', "camera is a permission that nobody knows"),
        ('[permissions]\nnetwork = ["everywhere"]\n', "permissions.network cannot hold 'everywhere'"),
    ],
)
def test_a_manifest_that_asks_for_what_there_is_not(tmp_path, more, words):
    with pytest.raises(AppletError) as caught:
        wheel.read(applet_house.write_wheel(tmp_path, "echo", more=more))
    assert words in caught.value.message
    assert "line " in caught.value.message


def test_wheels_that_are_none(tmp_path):
    noise = tmp_path / "noise-1.0-py3-none-any.whl"
    noise.write_bytes(b"no zip")
    with pytest.raises(AppletError, match="is no wheel"):
        wheel.read(noise)
    path = applet_house.write_wheel(tmp_path, "echo")
    content = bytearray(path.read_bytes())
    place = content.index(b"Says it again")
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(AppletError, match="damaged"):
        wheel.read(path)


@pytest.mark.parametrize(
    "text", ["./nowhere.whl", "./nowhere", "--option", "a/b", "", "na me", "x; rm -rf", "git+https://x"]
)
def test_sources_that_are_none(text):
    with pytest.raises(AppletError):
        source.kind_of(text)


def test_installed_ones_survive_another_orch(install, run_orch, tmp_path, orch_home):
    """They know nothing of the environment of `orch`: its Python, its packages, its folder."""
    assert install(applet_house.write_wheel(tmp_path, "echo")).returncode == 0
    before = rows(run_orch)[0]["echo"]
    (python,) = (orch_home / "data" / "applets" / "echo").glob("*/env/bin/python")
    assert not Path(os.path.realpath(python)).is_relative_to(sys.prefix) or sys.prefix == sys.base_prefix
    told = subprocess.run(
        [python, "-I", "-c", "import sys; print(sys.path)"], capture_output=True, text=True, check=True
    )
    assert sys.prefix == sys.base_prefix or sys.prefix not in told.stdout
    alone = subprocess.run([python, "-I", "-c", "import llama_orch"], capture_output=True, check=False)
    assert alone.returncode == 1, "the GPL package is not in it"
    assert rows(run_orch)[0]["echo"] == before


def _project(folder: Path, version: str, more: str = "") -> None:
    for name, text in applet_house.files_of("echo", version, more=more).items():
        path = folder / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n[project]\n'
        f'name = "applet-echo"\nversion = "{version}"\nlicense = "MIT"\ndependencies = ["llama-orch-utils"]\n'
        '[project.entry-points."llama_orch.applets.v1"]\necho = "applet_echo:echo"\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["src/applet_echo"]\n'
    )
