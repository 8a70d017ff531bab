# SPDX-License-Identifier: GPL-3.0-or-later
"""Small applets, written where a test wants them, and a folder with all the packages that they need."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import zipfile
from pathlib import Path

import environments
import wheelhouse

BODY = '''
from pydantic import BaseModel, Field
from llama_orch_utils.applets import Context, applet


class Given(BaseModel):
    """What to say."""

    text: str = Field(description="what to say")
    times: int = Field(1, description="how often")


class Made(BaseModel):
    said: str


@applet(__package__)
def echo(given: Given, context: Context) -> Made:
    return Made(said=" ".join([given.text] * given.times))
'''


def manifest(name: str, version: str, more: str = "") -> str:
    return f'id = "{name}"\nversion = "{version}"\nsummary = "Says it again."\nlicence = "MIT"\napi = 1\n{more}'


def files_of(name: str, version: str = "1.0", body: str = BODY, more: str = "", package: str = "") -> dict[str, str]:
    """The files of an applet's wheel without its .dist-info; `more` is put behind its manifest."""
    module = (package or f"applet-{name}").replace("-", "_")
    return {
        f"{module}/__init__.py": body.replace("def echo", f"def {name.replace('-', '_')}"),
        f"{module}/applet.toml": manifest(name, version, more),
    }


def write_wheel(
    folder: Path, name: str, *, version: str = "1.0", body: str = BODY, more: str = "", package: str = "",
    requires: tuple[str, ...] = ("llama-orch-utils",), licence: str = "MIT",
) -> Path:  # fmt: skip
    """A wheel that brings the applet `name`."""
    dist = package or f"applet-{name}"
    module = dist.replace("-", "_")
    files = files_of(name, version, body, more, package)
    info = f"{module}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.4\nName: {dist}\nVersion: {version}\nLicense-Expression: {licence}\n"
        f"License-File: LICENSE\n{needs}"
    )
    files[f"{info}/licenses/LICENSE"] = f"The licence of {dist}."
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = f"[llama_orch.applets.v1]\n{name} = {module}:{name.replace('-', '_')}\n"
    rows = [f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in files.items()]
    files[f"{info}/RECORD"] = "".join(rows) + f"{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            archive.writestr(inside, text)
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def write_packages(folder: Path) -> Path:
    """The SDK, built here, and everything that it and hatchling need, from the environment that runs the tests."""
    folder.mkdir(parents=True, exist_ok=True)
    environments.build_wheel("llama-orch-utils", folder)
    wanted = [
        each for each in importlib.metadata.distribution("llama-orch-utils").requires or [] if "extra" not in each
    ]
    for name in wheelhouse._closure([*wanted, "hatchling", "pytest"]):
        wheelhouse._wheel(importlib.metadata.distribution(name), folder)
    for wheel in sorted(folder.glob("*.whl")):
        _record(wheel)
    return folder


def _record(wheel: Path) -> None:
    """Writes the hashes of a wheel's files into its RECORD, which the copies from an environment leave empty."""
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    (record,) = [name for name in files if name.endswith(".dist-info/RECORD")]
    rows: list[str] = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append(f'"{name}",,\n' if name == record else f'"{name}",sha256={digest},{len(content)}\n')
    files[record] = "".join(rows).encode()
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
