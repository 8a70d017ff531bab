# SPDX-License-Identifier: GPL-3.0-or-later
"""A distribution read without running it: its name, licence, the applet that it brings, and that one's manifest."""

from __future__ import annotations

import configparser
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

from llama_orch_utils.applets import GROUP
from llama_orch_utils.applets.manifest import FILE, Manifest, parse
from llama_orch_utils.errors import AppletError

_MOST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Brought:
    """What a distribution brings: `package` and `version` are its own, `text` is the manifest as it is written."""

    package: str
    version: str
    licence: str
    text: str
    manifest: Manifest


class _Files:
    """The files of a wheel, or of a folder that one was unpacked to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names = self._list()

    def _list(self) -> list[str]:
        if self._path.is_dir():
            return [each.relative_to(self._path).as_posix() for each in self._path.rglob("*") if each.is_file()]
        try:
            with zipfile.ZipFile(self._path) as archive:
                return archive.namelist()
        except (OSError, zipfile.BadZipFile) as error:
            raise AppletError(f"{self._path.name} is no wheel: {error}", hint="orch applet install FOLDER") from error

    def info(self, name: str) -> str | None:
        """A file of the .dist-info folder."""
        found = next(
            (each for each in self._names if each.count("/") == 1 and each.endswith(f".dist-info/{name}")), None
        )
        return None if found is None else self.text(found)

    def text(self, name: str) -> str | None:
        """A file as text; None where there is none."""
        if name not in self._names:
            return None
        if self._path.is_dir():
            return (self._path / name).read_bytes()[:_MOST].decode("utf-8", "replace")
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(name) as file:
                return file.read(_MOST).decode("utf-8", "replace")
        except (OSError, zipfile.BadZipFile) as error:
            raise AppletError(f"{self._path.name} is damaged: {error}", hint="get it again") from error


def read(path: Path) -> Brought:
    """What a wheel, or the folder that it was unpacked to, brings. Raises AppletError with what is wrong."""
    files = _Files(path)
    metadata = files.info("METADATA")
    if metadata is None:
        raise AppletError(f"{path.name} is no wheel: it has no METADATA", hint="orch applet install FOLDER")
    told = Parser().parsestr(metadata, headersonly=True)
    package, version = str(told.get("Name", "")), str(told.get("Version", ""))
    name, module = _point(files.info("entry_points.txt") or "", package)
    where = f"{module.replace('.', '/')}/{FILE}"
    text = files.text(where)
    if text is None:
        raise AppletError(f"{package} brings no {where}: it is no applet", hint="orch applet new NAME")
    manifest = parse(text, where)
    if manifest.id != name:
        raise AppletError(
            f"{package} is at odds with itself: its entry point is {name}, its manifest says {manifest.id}",
            hint=f"write the same id into pyproject.toml and {FILE}",
        )
    licence = str(told.get("License-Expression") or told.get("License") or manifest.licence)
    return Brought(package, version, licence.partition("\n")[0], text, manifest)


def _point(text: str, package: str) -> tuple[str, str]:
    """Name and module of the one entry point."""
    reader = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    reader.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        reader.read_string(text)
    except configparser.Error as error:
        raise AppletError(f"{package} has entry points that cannot be read", hint="build the wheel again") from error
    points = dict(reader[GROUP]) if reader.has_section(GROUP) else {}
    if len(points) != 1:
        words = f"{len(points)} applets" if points else "no applet"
        raise AppletError(
            f"{package} brings {words}; a package to install brings one",
            hint=f'[project.entry-points."{GROUP}"] in its pyproject.toml, with one line',
        )
    ((name, value),) = points.items()
    return name, value.partition(":")[0].strip()
