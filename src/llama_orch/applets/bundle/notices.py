# SPDX-License-Identifier: GPL-3.0-or-later
"""The licence notices of a folder of wheels, as they must go with them."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from email.parser import Parser
from pathlib import Path

_TEXT = re.compile(r"(?:licen[cs]e|copying|notice|authors)[^/]*$", re.IGNORECASE)
_COPYLEFT = re.compile(r"\b(?:A|L)?GPL", re.IGNORECASE)
_RULE = "=" * 78


def collect(wheels: Sequence[Path]) -> str:
    """Name, version, licence and the licence texts of every wheel."""
    return f"\n{_RULE}\n".join(_of(each) for each in sorted(wheels))


def copyleft(wheels: Sequence[Path]) -> list[str]:
    """Packages whose licence asks more than a notice: `NAME (LICENCE)`."""
    found: list[str] = []
    for each in sorted(wheels):
        name, _, licence = _about(each)
        if _COPYLEFT.search(licence):
            found.append(f"{name} ({licence})")
    return found


def _about(wheel: Path) -> tuple[str, str, str]:
    with zipfile.ZipFile(wheel) as archive:
        inside = next((each for each in archive.namelist() if each.endswith(".dist-info/METADATA")), None)
        told = Parser().parsestr(archive.read(inside).decode("utf-8", "replace") if inside else "", headersonly=True)
    classifiers = [each.rpartition("::")[2].strip() for each in told.get_all("Classifier", []) if "License ::" in each]
    licence = told.get("License-Expression") or told.get("License") or ", ".join(classifiers) or "see its text"
    return str(told.get("Name", wheel.name)), str(told.get("Version", "")), str(licence).strip().partition("\n")[0]


def _of(wheel: Path) -> str:
    name, version, licence = _about(wheel)
    with zipfile.ZipFile(wheel) as archive:
        inside = [each for each in archive.namelist() if ".dist-info/" in each and _TEXT.search(each)]
        texts = [archive.read(each).decode("utf-8", "replace").strip() for each in sorted(inside)]
    return "\n\n".join([f"{name} {version}\nLicence: {licence}", *dict.fromkeys(texts)]) + "\n"
