# SPDX-License-Identifier: GPL-3.0-or-later
"""Which applets a gateway offers. `orch serve`: all that its owner has. A tap: those that its tap.toml names.

Where it names none those are the ready-made ones. What an operator has besides (for himself, or of an agency's) is not
put before his clients by an installation alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from llama_orch.tap.config.record import FILE
from llama_orch_utils.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llama_orch.tap.config.record import TapConfig

_READY = "llama-orch-applet-{}"
_PLACES = ("items", "anyOf", "allOf", "oneOf")


def names(config: TapConfig | None) -> tuple[str, ...]:
    """What is offered, sorted; loads none of them. Raises ConfigError for a lock that cannot be read."""
    from llama_orch.applets import catalogue
    from llama_orch_utils.applets import discovery

    if config is None:
        return catalogue.names()
    if config.applets.offered is not None:
        return tuple(sorted(config.applets.offered))
    return tuple(sorted(name for name, package in discovery.packages().items() if package == _READY.format(name)))


def check(config: TapConfig) -> None:
    """Raises ConfigError for a name that no applet has."""
    if not config.applets.offered:
        return
    from llama_orch.applets import catalogue

    there = catalogue.names()
    for name in config.applets.offered:
        if name not in there:
            raise ConfigError(
                f"tap.toml offers the applet {name}, which is not installed here",
                file=str(config.folder / FILE),
                key="applets.offered",
                hint="orch applet ls",
            )


def needs_files(shape: Mapping[str, Any]) -> bool:
    """Whether an input's JSON Schema wants a path: a run for a caller elsewhere has no files."""
    from llama_orch_utils.applets.fields import PATHS

    wanted: list[str] = shape.get("required", [])
    return any(_is_path(shape.get("properties", {}).get(name, {}), PATHS) for name in wanted)


def _is_path(field: Mapping[str, Any], formats: tuple[str, ...]) -> bool:
    inner = [field.get(place) for place in _PLACES]
    below = [one for each in inner for one in (cast("list[Any]", each) if isinstance(each, list) else [each])]
    tables = [cast("dict[str, Any]", one) for one in below if isinstance(one, dict)]
    return field.get("format") in formats or any(_is_path(one, formats) for one in tables)
