# SPDX-License-Identifier: GPL-3.0-or-later
"""`applets.lock`: what is installed. One file, changed whole, so that two commands cannot lose one another's change."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Generator
from typing import Any, cast

from llama_orch.applets import record
from llama_orch.applets.place import lock_file
from llama_orch.applets.record import Record
from llama_orch_utils.errors import AppletError, ConfigError

FORMAT = 1


def read() -> dict[str, Record]:
    """Every installed applet, by id. Raises ConfigError for a file that is none."""
    path = lock_file()
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}", file=str(path), hint=f"mv {path} {path}.old, then install again"
        ) from error
    if raw.get("format") != FORMAT:
        raise ConfigError(
            f"{path} has a format of another orch", file=str(path), hint="pip install --upgrade llama-orch"
        )
    try:
        rows = [record.read(row) for row in cast("list[dict[str, Any]]", raw.get("applet", []))]
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{path} is damaged: {error}", file=str(path), hint=f"mv {path} {path}.old, then install again"
        ) from error
    return {each.id: each for each in rows}


def find(name: str) -> Record:
    """The installed applet of that id. Raises AppletError."""
    found = read().get(name)
    if found is None:
        raise AppletError(f"no applet {name} is installed here", hint="orch applet ls")
    return found


@contextlib.contextmanager
def changing() -> Generator[dict[str, Record]]:
    """What is installed, to be changed; written when the block ends without an error."""
    import tomli_w

    from llama_orch_utils.config.atomic import locked, write_atomically

    path = lock_file()
    with locked(path):
        found = read()
        before = dict(found)
        yield found
        if found != before:
            rows = [found[name].row() for name in sorted(found)]
            write_atomically(path, tomli_w.dumps({"format": FORMAT, "applet": rows}).encode())
