# SPDX-License-Identifier: GPL-3.0-or-later
"""Packing: the applets' wheels, all that they need, the notices, the command, one signature over all of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llama_orch.applets import source
from llama_orch.applets.bundle import naming, notices, page, signing
from llama_orch.applets.bundle.signing import Signer
from llama_orch.applets.bundle.wish import Wish
from llama_orch.applets.record import Origin
from llama_orch.applets.source import Offer
from llama_orch.applets.tools import base_python, run
from llama_orch_utils.applets.branded import installer
from llama_orch_utils.errors import AppletError

FORMAT = 1
LISTING, SIGNATURE = "bundle.json", "bundle.sig"
_OLDEST = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Packed:
    """What was made: the zip, who signed it, its packages, and those whose licence asks more than a notice."""

    path: Path
    signer: str
    applets: tuple[str, ...]
    packages: tuple[str, ...]
    copyleft: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class For:
    """The machine that it is for, as pip names it; nothing: one like this."""

    platforms: tuple[str, ...] = ()
    python: str | None = None

    def options(self) -> list[str]:
        """As `pip download` takes them."""
        found = [word for each in self.platforms for word in ("--platform", each)]
        return found + (["--python-version", self.python] if self.python else [])


def pack(wish: Wish, where: Origin, machine: For, out: Path, say: Callable[[str], None]) -> Packed:
    """Writes `NAME-VERSION.zip` into `out`. Raises AppletError."""
    signer = signing.signer()
    if signer.made:
        say(f"made a key to sign with; it is in {signer.where}: back it up")
    folder = Path(tempfile.mkdtemp(prefix="pack-"))
    try:
        wheels = folder / "bundle" / "wheels"
        wheels.mkdir(parents=True)
        offers = [_offer(wish, each, where, folder / str(place)) for place, each in enumerate(wish.applets)]
        _no_twins(offers)
        say("collecting what they need")
        _download(offers, where, machine, wheels, folder)
        made = _finish(wish, offers, folder / "bundle", signer)
        path = _zip(folder / "bundle", out / f"{wish.name}-{wish.version}.zip")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Packed(path, signing.fingerprint(signer.public), tuple(made), _names(path), _asking(path))


def _offer(wish: Wish, name: str, where: Origin, folder: Path) -> Offer:
    local = wish.folder / name
    kind = source.kind_of(str(local) if local.exists() else name)
    if kind == "bundle":
        raise AppletError(f"{name} is a bundle itself", hint="name its applets in brand.toml")
    path = name if kind == "package" else str(local.resolve())
    return source.read(Origin(kind, path, where.index, where.links, where.offline), folder)


def _no_twins(offers: list[Offer]) -> None:
    seen: dict[str, Offer] = {}
    for each in offers:
        name = each.brought.manifest.id
        if name in seen:
            first = seen[name].brought
            raise AppletError(
                f"two of the applets are {name}: {first.package} {first.version} and "
                f"{each.brought.package} {each.brought.version}",
                hint="name one of them in brand.toml",
            )
        seen[name] = each


def _download(offers: list[Offer], where: Origin, machine: For, wheels: Path, folder: Path) -> None:
    """Pip does it: uv fetches nothing that it does not install."""
    options = ["--no-index"] if where.offline else ["--index-url", where.index] if where.index else []
    links = [str(each.wheel.parent) for each in offers if each.wheel is not None]
    for each in [*links, *where.links]:
        options += ["--find-links", each]
    run([base_python(), "-m", "venv", str(folder / "pip")])
    words = ["download", "--quiet", "--only-binary", ":all:", "--dest", str(wheels), *options, *machine.options()]
    pip = [str(folder / "pip" / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", *words]
    run([*pip, *(each.requirement for each in offers)])


def _finish(wish: Wish, offers: list[Offer], folder: Path, signer: Signer) -> list[str]:
    wheels = folder / "wheels"
    if list(wheels.glob(f"{wish.module}-*.whl")):
        raise AppletError(
            f"a package that it needs is called {wish.name} too", hint="choose another name in brand.toml"
        )
    text = notices.collect(list(wheels.glob("*.whl")))
    brought = [each.brought for each in offers]
    naming.write(wish, brought, wheels, text)
    (folder / "NOTICES.txt").write_text(text, "utf-8")
    (folder / "requirements.txt").write_text(_requirements(wheels), "utf-8")
    shutil.copyfile(installer.__file__, folder / "install.py")
    (folder / page.FILE).write_text(page.render(wish, brought), "utf-8")
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    listing = {
        "format": FORMAT,
        "name": wish.name,
        "title": wish.title,
        "version": wish.version,
        "key": base64.b64encode(signer.public).decode(),
        "brand": naming.texts(wish),
        "icon": wish.icon(),
        "applets": [_line(each, wheels) for each in brought],
        "files": {each.relative_to(folder).as_posix(): _digest(each) for each in files},
    }
    body = json.dumps(listing, ensure_ascii=False, indent=2).encode()
    (folder / LISTING).write_bytes(body)
    (folder / SIGNATURE).write_text(base64.b64encode(signer.sign(body)).decode() + "\n", "ascii")
    return [each.manifest.id for each in brought]


def _line(brought: source.Brought, wheels: Path) -> dict[str, str]:
    stem = re.sub(r"[-_.]+", "_", brought.package).lower()
    found = [each for each in wheels.glob("*.whl") if each.name.lower().startswith(f"{stem}-{brought.version}-")]
    if not found:
        raise AppletError(f"{brought.package} {brought.version} is not among what was collected", hint="orch doctor")
    about = {"id": brought.manifest.id, "package": brought.package, "version": brought.version}
    return {**about, "wheel": f"wheels/{found[0].name}"}


def _requirements(wheels: Path) -> str:
    lines: list[str] = []
    for each in sorted(wheels.glob("*.whl")):
        name, version, *_ = each.name.split("-")
        lines.append(f"{name.replace('_', '-').lower()}=={version} --hash=sha256:{_digest(each)}\n")
    return "".join(lines)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _zip(folder: Path, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for each in sorted(folder.rglob("*")):
            if each.is_file():
                name = f"{path.stem}/{each.relative_to(folder).as_posix()}"
                archive.writestr(zipfile.ZipInfo(name, _OLDEST), each.read_bytes())
    partial.replace(path)
    return path


def _names(path: Path) -> tuple[str, ...]:
    with zipfile.ZipFile(path) as archive:
        return tuple(sorted(Path(each).name for each in archive.namelist() if each.endswith(".whl")))


def _asking(path: Path) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(path) as archive:
        wheels = [Path(archive.extract(each, name)) for each in archive.namelist() if each.endswith(".whl")]
        return tuple(notices.copyleft(wheels))
