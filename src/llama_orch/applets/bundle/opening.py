# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle that somebody sent: nothing of it is used before its signature and every hash are right."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

from llama_orch.applets import wheel
from llama_orch.applets.bundle import signing
from llama_orch.applets.bundle.pack import FORMAT, LISTING, SIGNATURE
from llama_orch.applets.record import Origin
from llama_orch.applets.source import Offer
from llama_orch_utils.errors import AppletError

_MOST = 2 * 1024 * 1024 * 1024
_AGAIN = "get it again from whoever made it, and compare the fingerprint"


@dataclass(frozen=True, slots=True)
class Bundle:
    """One that is what was signed. `folder` holds it for as long as it is open."""

    path: Path
    folder: Path
    name: str
    version: str
    signer: str
    brand: dict[str, str]
    icon: str
    offers: tuple[Offer, ...]


@contextlib.contextmanager
def opened(path: Path, signer: str | None = None) -> Generator[Bundle]:
    """The bundle at `path` (a zip, or the folder that it was unpacked to), checked.

    Raises AppletError for a changed byte, a wrong signature, a file too many, and another signer than `signer`.
    """
    folder = Path(tempfile.mkdtemp(prefix="bundle-"))
    try:
        # A copy of our own: what was checked is what is installed.
        yield _checked(path, _unpacked(path, folder), signer)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpacked(path: Path, folder: Path) -> Path:
    if path.is_dir():
        shutil.copytree(path, folder / "bundle", symlinks=True)
        if any(each.is_symlink() for each in folder.rglob("*")):
            raise AppletError(f"{path.name} holds a link", hint=_AGAIN)
        return folder / "bundle"
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            for name in names:
                parts = PurePosixPath(name).parts
                if name.startswith("/") or ".." in parts or "\\" in name:
                    raise AppletError(f"{path.name} holds a file that leads out of it: {name}", hint=_AGAIN)
            if len(set(names)) != len(names) or sum(each.file_size for each in archive.infolist()) > _MOST:
                raise AppletError(f"{path.name} is no bundle", hint=_AGAIN)
            archive.extractall(folder)
    except (OSError, zipfile.BadZipFile) as error:
        raise AppletError(f"{path.name} is damaged: {error}", hint=_AGAIN) from error
    listings = list(folder.glob(f"*/{LISTING}"))
    if len(listings) != 1:
        raise AppletError(f"{path.name} is no bundle: it has no {LISTING}", hint="orch applet pack")
    return listings[0].parent


def _checked(path: Path, folder: Path, wanted: str | None) -> Bundle:
    try:
        body = (folder / LISTING).read_bytes()
        told = cast("dict[str, Any]", json.loads(body))
        public = base64.b64decode(told["key"], validate=True)
        signature = base64.b64decode((folder / SIGNATURE).read_text("ascii").strip(), validate=True)
    except (OSError, ValueError, KeyError, TypeError, binascii.Error) as error:
        raise AppletError(f"{path.name} is no bundle, or was damaged", hint=_AGAIN) from error
    if not signing.valid(public, body, signature):
        raise AppletError(f"the signature of {path.name} is wrong: somebody changed {LISTING}", hint=_AGAIN)
    signer = signing.fingerprint(public)
    if wanted is not None and wanted != signer:
        raise AppletError(f"{path.name} is signed by {signer}, not by {wanted}", hint=_AGAIN)
    if told.get("format") != FORMAT:
        raise AppletError(f"{path.name} is of another version of orch", hint="pip install --upgrade llama-orch")
    _check_files(path, folder, told["files"])
    links = (str(folder / "wheels"),)
    origin = Origin("bundle", str(path.absolute()), None, links, offline=True)
    offers = tuple(
        Offer(origin, wheel.read(folder / each["wheel"]), folder / each["wheel"]) for each in told["applets"]
    )
    return Bundle(path, folder, told["name"], told["version"], signer, told["brand"], told.get("icon", ""), offers)


def _check_files(path: Path, folder: Path, files: dict[str, str]) -> None:
    there = {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}
    if strangers := sorted(there - set(files) - {LISTING, SIGNATURE}):
        raise AppletError(f"{path.name} holds a file that was not signed: {strangers[0]}", hint=_AGAIN)
    for name, digest in files.items():
        if name not in there:
            raise AppletError(f"{path.name} lacks {name}", hint=_AGAIN)
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise AppletError(f"{path.name}: {name} is not the file that was signed", hint=_AGAIN)
