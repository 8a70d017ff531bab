# SPDX-License-Identifier: GPL-3.0-or-later
"""Every applet that there is: those installed here, and those that lie beside `orch` in its own environment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from llama_orch.applets import lock
from llama_orch.applets.record import Record
from llama_orch_utils.applets import discovery
from llama_orch_utils.applets.discovery import Found
from llama_orch_utils.errors import AppletError

if TYPE_CHECKING:
    from llama_orch_utils.applets import Applet


def names() -> tuple[str, ...]:
    """All names, sorted; loads none. Raises ConfigError for a lock that cannot be read."""
    return tuple(sorted({*lock.read(), *discovery.names()}))


def discover() -> Iterator[Found]:
    """Every applet, in the order of their names; a broken one is a value with its `error`."""
    for name in names():
        found = load(name)
        if found is not None:
            yield found


def load(name: str) -> Found | None:
    """The applet of that name, whose runs are confined, or None. One that is here twice is an error that names both."""
    record = lock.read().get(name)
    if record is None:
        found = discovery.load(name)
        return found if found is None or found.applet is None else _beside(found)
    if name in discovery.names():
        beside = discovery.load(name)
        other = beside.package if beside is not None else name
        words = (
            f"there are two applets {name}: {record.package} {record.version} is installed, {other} lies beside orch"
        )
        return Found(name, record.package, error=AppletError(words, hint=f"orch applet rm {name}"))
    return installed(record)


def _beside(found: Found) -> Found:
    from llama_orch.applets.beside import Beside

    return Found(found.name, found.package, applet=Beside(cast("Applet[Any, Any]", found.applet)))


def installed(record: Record) -> Found:
    """The applet of a record; its process starts with its first run."""
    from llama_orch.applets.confined import Confined

    try:
        record.read_manifest()
    except AppletError as error:
        return Found(record.id, record.package, error=error)
    if not record.place.python.exists():
        words = f"applet {record.id} cannot be loaded: the Python of its environment is gone"
        return Found(record.id, record.package, error=AppletError(words, hint=f"orch applet upgrade {record.id}"))
    return Found(record.id, record.package, applet=Confined(record))
