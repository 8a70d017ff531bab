# SPDX-License-Identifier: GPL-3.0-or-later
"""SOURCE of `orch applet install`: a wheel, a folder or a package name, and the applet that it brings."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from llama_orch.applets import wheel
from llama_orch.applets.record import Kind, Origin
from llama_orch.applets.tools import Tools, find_uv
from llama_orch.applets.wheel import Brought
from llama_orch_utils.errors import AppletError

_NAME = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:\[[A-Za-z0-9,._-]+\])?\s*(?:(?:[=<>!~]=?|===)\s*[\w.*+!,<>=~ ]+)?"
)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a source brings, and the wheel itself where it does not come from an index."""

    origin: Origin
    brought: Brought
    wheel: Path | None

    @property
    def requirement(self) -> str:
        """What is to be installed, as both installers read it."""
        if self.wheel is None and self.origin.kind == "package" and "[" in self.origin.where:
            extras = self.origin.where[self.origin.where.index("[") : self.origin.where.index("]") + 1]
            return f"{self.brought.package}{extras}=={self.brought.version}"
        return f"{self.brought.package}=={self.brought.version}"


def kind_of(source: str) -> Kind:
    """What SOURCE is. Raises AppletError for what is none of them."""
    path = Path(source).expanduser()
    if source and path.is_dir():
        return "bundle" if (path / "bundle.json").is_file() else "folder"
    if path.suffix == ".zip" and path.is_file():
        return "bundle"
    if path.suffix == ".whl":
        if not path.is_file():
            raise AppletError(f"there is no file {source}", hint="check the path")
        return "wheel"
    if "/" in source or source.startswith((".", "-")) or not _NAME.fullmatch(source.strip()):
        raise AppletError(f"{source} is no wheel, no folder and no package's name", hint="orch applet install FOLDER")
    return "package"


def read(origin: Origin, folder: Path) -> Offer:
    """What the source brings; `folder` takes what is made on the way. Runs none of its code but a folder's build."""
    tools = Tools(origin, find_uv())
    if origin.kind == "package":
        tools.fetch(origin.where, folder / "unpacked")
        return Offer(origin, wheel.read(folder / "unpacked"), None)
    (folder / "wheels").mkdir(parents=True)
    if origin.kind == "folder":
        if not (Path(origin.where) / "pyproject.toml").is_file():
            raise AppletError(f"{origin.where} holds no pyproject.toml", hint="orch applet new NAME")
        found = tools.build(Path(origin.where), folder / "wheels")
    else:
        found = Path(shutil.copy2(origin.where, folder / "wheels"))
    return Offer(origin, wheel.read(found), found)
