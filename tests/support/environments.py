# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments that hold exactly what a test names, made without a network.

Our own distributions come from wheels that the build back end makes here and now; third-party ones are copied, file by
file as their records list them, from the environment that runs the tests.
"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "llama-orch": ROOT,
    "llama-orch-utils": ROOT / "src" / "llama_orch_utils",
    "llama-orch-applet-summarize": ROOT / "applets" / "summarize",
}


def build_wheel(name: str, out: Path) -> Path:
    """The wheel of one of our distributions, built alone from a copy of its own folder."""
    command = [sys.executable, "-P", "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(command, cwd=FOLDERS[name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = out.glob(f"{name.replace('-', '_')}-*.whl")
    return wheel


def make_environment(folder: Path, wheels: list[Path], extras: dict[str, set[str]] | None = None) -> Path:
    """A fresh environment with `wheels` and what they depend on (with `extras` by name); gives its Python."""
    venv.EnvBuilder(symlinks=True).create(folder)
    (site,) = folder.glob("lib/python3*/site-packages")
    for wheel in wheels:
        _unpack(wheel, site, folder / "bin")
    _copy_dependencies(site, extras or {})
    return folder / "bin" / "python"


def _unpack(wheel: Path, site: Path, scripts: Path) -> None:
    """Installs a pure-Python wheel: unzip, and one script per console entry point."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (info,) = site.glob(f"{wheel.name.split('-')[0]}-*.dist-info")
    for entry in importlib.metadata.Distribution.at(info).entry_points.select(group="console_scripts"):
        script = scripts / entry.name
        script.write_text(
            f"#!{scripts}/python\nimport sys\nfrom {entry.module} import {entry.attr}\nsys.exit({entry.attr}())\n"
        )
        script.chmod(0o755)


def _copy_dependencies(site: Path, extras: dict[str, set[str]]) -> None:
    ours = importlib.metadata.distributions(path=[str(site)])
    pending = [(dist, extras.get(_key(dist.name), set())) for dist in ours]
    seen = {_key(dist.name) for dist, _ in pending}
    while pending:
        dist, wanted = pending.pop()
        for name in _requirements(dist, wanted):
            if _key(name) not in seen:
                seen.add(_key(name))
                pending.append((_copy(name, site), set()))


def _requirements(dist: importlib.metadata.Distribution, extras: set[str]) -> list[str]:
    from packaging.requirements import Requirement

    wanted: list[str] = []
    for line in dist.requires or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            wanted.append(requirement.name)
    return wanted


def _copy(name: str, site: Path) -> importlib.metadata.Distribution:
    dist = importlib.metadata.distribution(name)
    for file in dist.files or []:
        source = Path(str(file.locate()))
        if ".." not in file.parts and source.is_file() and file.suffix != ".pyc":
            target = site / Path(*file.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return dist


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
