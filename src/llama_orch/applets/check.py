# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an installed applet is still what was installed: every file by its hash."""

from __future__ import annotations

import base64
import csv
import hashlib
from pathlib import Path

from llama_orch.applets.install import packages
from llama_orch.applets.record import Record

_ALGORITHM = "sha256"


def wrong(record: Record) -> list[str]:
    """What is not as it was, in words; an empty list: all is."""
    place = record.place
    if not place.python.exists():
        return ["the Python of its environment is gone"]
    now, found = packages(place), list[str]()
    for name in sorted({*now, *record.packages}):
        if name not in record.packages:
            found.append(f"{name} was added")
        elif name not in now:
            found.append(f"{name} is gone")
        elif now[name] != record.packages[name]:
            found.append(f"the list of the files of {name} was changed")
    for file in sorted(place.environment.glob("lib/python3*/site-packages/*.dist-info/RECORD")):
        found += _changed(file)
    return found + _strangers(place.environment)


def _changed(listing: Path) -> list[str]:
    """Files of one package that differ from their hashes."""
    found: list[str] = []
    site = listing.parent.parent
    with listing.open(encoding="utf-8", newline="") as file:
        for name, digest, *_ in csv.reader(file):
            algorithm, _, value = digest.partition("=")
            if algorithm != _ALGORITHM:
                continue
            path = site / name
            try:
                real = hashlib.sha256(path.read_bytes()).digest()
            except OSError:
                found.append(f"{name} is gone")
                continue
            if base64.urlsafe_b64encode(real).rstrip(b"=").decode() != value:
                found.append(f"{name} was changed")
    return found


def _strangers(environment: Path) -> list[str]:
    """Code that no package brought: it would run all the same."""
    found: list[str] = []
    for site in environment.glob("lib/python3*/site-packages"):
        listed = {site / "_virtualenv.py", site / "_virtualenv.pth", site / "distutils-precedence.pth"}
        for listing in site.glob("*.dist-info/RECORD"):
            with listing.open(encoding="utf-8", newline="") as file:
                listed |= {site / row[0] for row in csv.reader(file) if row}
        paths = (*site.rglob("*.py"), *site.glob("*.pth"), *site.rglob("*.so"))
        found += [f"{path.relative_to(site)} belongs to no package" for path in paths if path not in listed]
    return found
