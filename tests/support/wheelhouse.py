# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of packages for `--find-links`, made without a network: what the worker needs, and a llama-cpp-python.

Wheels are zipped from the environment that runs the tests, file by file as the records there list them. The source
distribution of llama-cpp-python is a stand-in: its "compiler" tells ninja's lines, writes down what it was told, and
hands out the library that is installed here. So an engine that is built from it computes.
"""

from __future__ import annotations

import importlib.metadata
import io
import os
import re
import tarfile
import zipfile
from pathlib import Path

from llama_orch.engines import needs

BACKEND = '''
import json, os, pathlib, sys, time, zipfile

HERE = pathlib.Path(__file__).parent
NAME, VERSION = "llama_cpp_python", "0.3.36"


def build_wheel(folder, config_settings=None, metadata_directory=None):
    orders = os.environ.get("STAND_IN", "").split()
    note = os.environ.get("STAND_IN_NOTE")
    if note:
        said = {"settings": config_settings, "environment": dict(os.environ), "pid": os.getpid()}
        pathlib.Path(note).write_text(json.dumps(said))
    if "fails" in orders:
        print("x.cpp:3:1: error: expected ';' before 'int'", file=sys.stderr, flush=True)
        raise SystemExit(1)
    if "full" in orders:
        print("x.o: fatal error: No space left on device", file=sys.stderr, flush=True)
        raise SystemExit(1)
    total = 600 if "slow" in orders else 12
    for number in range(1, total + 1):
        print(f"[{number}/{total}] Building CXX object x{number}.o", flush=True)
        time.sleep(0.1 if "slow" in orders else 0.01)
    name = f"{NAME}-{VERSION}-py3-none-any.whl"
    info = f"{NAME}-{VERSION}.dist-info/"
    broken = "broken" in orders or ("amx-broken" in orders and "amx.h" in json.dumps(config_settings))
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        for path in sorted((HERE / "llama_cpp").rglob("*")):
            if path.is_file():
                archive.write(path, str(path.relative_to(HERE)))
        if broken:
            archive.writestr("crash.pth", "import crash_when_tried\\n")  # Debian has a sitecustomize of its own
            archive.writestr("crash_when_tried.py", CRASH)
        archive.writestr(info + "METADATA", f"Metadata-Version: 2.1\\nName: llama-cpp-python\\nVersion: {VERSION}\\n")
        archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: tests\\nTag: py3-none-any\\n")
        record = "".join(f"{each},,\\n" for each in [*archive.namelist(), info + "RECORD"])
        archive.writestr(info + "RECORD", record)
    return name


# What a library does that was compiled wrongly, when the worker or the smoke test looks at it.
CRASH = """
import sys, os, signal
if "llama_orch.engine.smoke" in sys.orig_argv:
    os.kill(os.getpid(), signal.SIGILL)
"""
'''


def write(folder: Path) -> Path:
    """Fills `folder` and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _closure([*needs.WORKER, *needs.SDK, *needs.BINDING]):
        _wheel(importlib.metadata.distribution(name), folder)
    _stand_in(folder)
    return folder


def write_prebuilt(folder: Path) -> Path:
    """Fills `folder` with the prebuilt engine that is installed beside the tests, and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    _wheel(importlib.metadata.distribution(needs.PREBUILT), folder)
    return folder


def _closure(requirements: list[str]) -> list[str]:
    from packaging.requirements import Requirement

    pending, seen = [Requirement(line) for line in requirements], set[str]()
    while pending:
        requirement = pending.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name in seen or (requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(name)
        pending += [Requirement(line) for line in importlib.metadata.distribution(name).requires or []]
    return sorted(seen)


def _wheel(dist: importlib.metadata.Distribution, folder: Path) -> None:
    """The wheel that `dist` came from, near enough: its files, and its own WHEEL for the tags."""
    text = dist.read_text("WHEEL") or ""
    (tag, *_) = re.findall(r"^Tag: (.+)$", text, re.MULTILINE)
    name = re.sub(r"[-_.]+", "_", dist.name)
    with zipfile.ZipFile(folder / f"{name}-{dist.version}-{tag}.whl", "w") as archive:
        for file in dist.files or []:
            source = Path(str(file.locate()))
            skipped = {"direct_url.json", "INSTALLER", "REQUESTED", "RECORD", "uv_cache.json", "uv_build.json"}
            if ".." in file.parts or not source.is_file() or file.suffix == ".pyc" or file.name in skipped:
                continue
            if file.parts[0].endswith(".dist-info"):  # as the file's name has it
                target = f"{name}-{dist.version}.dist-info/{'/'.join(file.parts[1:])}"
            else:
                target = file.as_posix()
            archive.write(source, target)
        archive.writestr(f"{name}-{dist.version}.dist-info/RECORD", "")


def _stand_in(folder: Path) -> None:
    root = "llama_cpp_python-0.3.36"
    files = {
        "pyproject.toml": b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        b'[project]\nname = "llama-cpp-python"\nversion = "0.3.36"\n',
        "backend.py": BACKEND.encode(),
        "PKG-INFO": b"Metadata-Version: 2.1\nName: llama-cpp-python\nVersion: 0.3.36\n",
    }
    with tarfile.open(folder / f"{root}.tar.gz", "w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{root}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for file, source in _binding():
            archive.add(source, f"{root}/{file}")


def _binding() -> list[tuple[str, Path]]:
    """The low-level module and its libraries, each once."""
    found: list[tuple[str, Path]] = []
    dist = importlib.metadata.distribution("llama-cpp-python")
    for file in dist.files or []:
        source = Path(str(file.locate()))
        wanted = file.parts[0] == "llama_cpp" and "server" not in file.parts and file.suffix != ".pyc"
        if wanted and source.is_file() and not re.search(r"\.so\.\d+\.\d", file.name):
            found.append((file.as_posix(), source))
    assert any("libllama" in name for name, _ in found), os.fspath(dist.locate_file(""))
    return found
