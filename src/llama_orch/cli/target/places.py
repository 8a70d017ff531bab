# SPDX-License-Identifier: GPL-3.0-or-later
"""The targets that can be named: the two that are always there, and those of the files."""

from __future__ import annotations

import os
from dataclasses import dataclass

from llama_orch_utils.errors import ConfigError

# A list of models is a small answer: who needs longer is as good as not there.
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Place:
    """A target by name. `url` is None for local, and for a Public Tap that nothing names yet."""

    name: str
    url: str | None
    model: str | None
    origin: str
    default: bool


def places() -> list[Place]:
    """Every target that has a name; the one that requests go to is marked."""
    from llama_orch_utils import config

    found = config.load()
    chosen = str(found.get("target").value)
    listed = [Place("local", None, None, "built in", chosen == "local")]
    if "public" not in found.targets:
        listed.append(_public(chosen))
    listed += [
        Place(each.name, each.url, each.model, str(each.origin), chosen == each.name) for each in found.targets.values()
    ]
    if not any(each.default for each in listed):
        url = chosen if "://" in chosen else None
        listed.append(Place(chosen, url, None, str(found.get("target").origin), default=True))
    return listed


def place(name: str | None) -> Place:
    """The target of that name, or with that address (None: the one in use). Raises ConfigError: did you mean."""
    from llama_orch_utils import config
    from llama_orch_utils.targets.choose import choose

    for each in places():
        if each.name == name or (name is None and each.default):
            return each
    found = choose(name, config.load())
    return Place(
        found.name, found.url, found.model, "project" if not found.environment_key else "address", default=False
    )


def address(chosen: Place) -> str:
    """The address of a target that has one. Raises ConfigError for local and for a Public Tap without an address."""
    from llama_orch_utils import config
    from llama_orch_utils.targets.choose import choose

    url = choose(chosen.name, config.load()).url
    if url is None:
        raise ConfigError("the local target has no address, and needs no key", key="target", hint="orch target ls")
    return url


def _public(chosen: str) -> Place:
    url = os.environ.get("ORCH_PUBLIC_URL") or None
    return Place("public", url, None, "environment ORCH_PUBLIC_URL" if url else "built in", chosen == "public")
