# SPDX-License-Identifier: Apache-2.0
"""Finding the applets that are installed: a broken one is a value, not an exception."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from llama_orch_utils.errors import AppletError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from llama_orch_utils.applets.schema import Runnable

GROUP = "llama_orch.applets.v1"


@dataclass(frozen=True, slots=True)
class Found:
    """An installed applet by its entry point's name: either the `applet`, or the `error` that keeps it away."""

    name: str
    package: str
    applet: Runnable | None = None
    error: AppletError | None = None


def names() -> tuple[str, ...]:
    """The names of the installed applets, sorted; loads none of them."""
    return tuple(sorted({point.name for point in _points()}))


def packages() -> dict[str, str]:
    """By name the package that brings each; loads none of them."""
    return {point.name: _package(point) for point in _points()}


def discover() -> Iterator[Found]:
    """Every installed applet, loaded one by one, in the order of their names."""
    for name in names():
        found = load(name)
        if found is not None:
            yield found


def load(name: str) -> Found | None:
    """The installed applet `name`, loaded, or None if there is none. Two packages that bring one are an error."""
    points = {point.value: point for point in _points() if point.name == name}
    if not points:
        return None
    packages = sorted({_package(point) for point in points.values()})
    if len(points) > 1:
        words = f"{' and '.join(packages)} both bring it"
        error = AppletError(f"there are two applets {name}: {words}", hint=f"pip uninstall {packages[-1]}")
        return Found(name, packages[0], error=error)
    return _load(next(iter(points.values())))


def _points() -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points

    return tuple(entry_points(group=GROUP))


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module


def _load(point: EntryPoint) -> Found:
    package = _package(point)
    try:
        loaded = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code raises anything; it becomes an error of the tree
        words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        words = error.message if isinstance(error, AppletError) else words
        return Found(point.name, package, error=_broken(point.name, package, words))
    from llama_orch_utils.applets.applet import Applet

    if not isinstance(loaded, Applet):
        words = f"{point.value} is a {type(loaded).__name__}, no Applet"
        return Found(point.name, package, error=_broken(point.name, package, words))
    if loaded.id != point.name:
        words = f"its entry point calls it {point.name}, it calls itself {loaded.id}"
        return Found(point.name, package, error=_broken(point.name, package, words))
    return Found(point.name, package, applet=cast("Runnable", loaded))


def _broken(name: str, package: str, words: str) -> AppletError:
    return AppletError(f"applet {name} cannot be loaded: {words}", hint=f"pip install --upgrade {package}")
