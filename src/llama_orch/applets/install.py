# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a source offers to an installed applet: an environment, its pins, a first start, one line in the lock."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import secrets
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from llama_orch.applets import lock, source
from llama_orch.applets.confined import Confined
from llama_orch.applets.place import Place, root
from llama_orch.applets.record import Origin, Record
from llama_orch.applets.source import Offer
from llama_orch.applets.tools import Tools, find_uv
from llama_orch_utils.applets import discovery
from llama_orch_utils.config.paths import ensure_private
from llama_orch_utils.errors import AppletError

Say = Callable[[str], None]


@contextlib.contextmanager
def offered(origin: Origin) -> Generator[Offer]:
    """What a source brings, for as long as the block runs."""
    folder = Path(tempfile.mkdtemp(prefix=".offer-", dir=ensure_private(root())))
    try:
        yield source.read(origin, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_free(offer: Offer) -> None:
    """Raises AppletError where there is an applet of that id already."""
    name = offer.brought.manifest.id
    record = lock.read().get(name)
    if record is not None:
        raise AppletError(
            f"there is an applet {name} already: {record.package} {record.version}; this is "
            f"{offer.brought.package} {offer.brought.version}",
            hint=f"orch applet upgrade {name}, or: orch applet rm {name}",
        )
    if name in discovery.names():
        found = discovery.load(name)
        package = found.package if found is not None else name
        raise AppletError(
            f"there is an applet {name} already: {package} lies beside orch", hint=f"pip uninstall {package}"
        )


def add(offer: Offer, say: Say, *, signer: str = "", brand: Mapping[str, str] | None = None, icon: str = "") -> Record:
    """Installs what is offered. Raises AppletError; then nothing is left of it."""
    check_free(offer)
    record = replace(make(offer, say), signer=signer, brand=dict(brand or {}), icon=icon)
    try:
        with lock.changing() as found:
            if record.id in found:
                raise AppletError(  # noqa: TRY301 - what was made goes, whatever stops it
                    f"somebody else installed {record.id} just now", hint="orch applet ls"
                )
            found[record.id] = record
    except BaseException:
        discard(record)
        raise
    return record


def exchange(
    old: Record, offer: Offer, say: Say, *, signer: str = "", brand: Mapping[str, str] | None = None, icon: str = ""
) -> Record:
    """Puts what is offered in the place of `old`, which stays where that fails. Raises AppletError."""
    if offer.brought.manifest.id != old.id:
        raise AppletError(f"that source brings {offer.brought.manifest.id}, not {old.id}", hint="orch applet ls")
    record = replace(make(offer, say), signer=signer, brand=dict(brand or {}), icon=icon)
    try:
        with lock.changing() as found:
            found[record.id] = record
    except BaseException:
        discard(record)
        raise
    discard(old)
    return record


def remove(name: str) -> Record:
    """Removes an applet with its environment. Raises AppletError where there is none."""
    with lock.changing() as found:
        if name not in found:
            raise AppletError(f"no applet {name} is installed here", hint="orch applet ls")
        record = found.pop(name)
    discard(record)
    return record


def discard(record: Record) -> None:
    """Removes the files of one build."""
    shutil.rmtree(record.place.folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # another build of it lies there
        record.place.folder.parent.rmdir()


def make(offer: Offer, say: Say) -> Record:
    """A build that is whole and not in the lock yet. Raises AppletError; then nothing is left of it."""
    brought = offer.brought
    record = Record(
        id=brought.manifest.id,
        version=brought.version,
        package=brought.package,
        licence=brought.licence,
        build=secrets.token_hex(4),
        python=platform.python_version(),
        installed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        manifest=brought.text,
        schema="",
        # A bundle's folder of wheels is gone when it is closed.
        origin=replace(offer.origin, links=()) if offer.origin.kind == "bundle" else offer.origin,
    )
    ensure_private(record.place.folder)
    try:
        _fill(record, offer, say)
        return _tried(record)
    except BaseException:
        discard(record)
        raise


def _fill(record: Record, offer: Offer, say: Say) -> None:
    place = record.place
    links: tuple[Path, ...] = ()
    if offer.wheel is not None:
        place.wheels.mkdir()
        shutil.copy2(offer.wheel, place.wheels)
        links = (place.wheels,)
    tools = Tools(offer.origin, find_uv(), links)
    say(f"making an environment with {tools.name}")
    tools.make(place.environment)
    tools.pinned(offer.requirement, place.python, place.requirements)
    say("installing its packages, each by its hash")
    tools.fill(place.python, place.requirements)


def _tried(record: Record) -> Record:
    """The record with what its process says of itself."""
    confined = Confined(record)
    try:
        schema, manifest = confined.described()
    except AppletError as error:
        raise AppletError(
            f"{record.package} was installed, and does not start: {error.message}", hint=error.hint
        ) from error
    finally:
        confined.close()
    if manifest != record.read_manifest():
        raise AppletError(f"{record.package} says something else of itself than its manifest", hint="do not install it")
    return replace(record, schema=json.dumps(schema), packages=packages(record.place))


def packages(place: Place) -> dict[str, str]:
    """Each package of an environment with its version and the hash of its RECORD."""
    found: dict[str, str] = {}
    for file in sorted(place.environment.glob("lib/python3*/site-packages/*.dist-info/RECORD")):
        name, _, version = file.parent.name.removesuffix(".dist-info").rpartition("-")
        found[name] = f"{version} sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    return found
