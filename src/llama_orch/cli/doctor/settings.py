# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about the settings, the conversation log and the targets."""

from __future__ import annotations

from collections.abc import Iterator

from llama_orch.cli.doctor.check import Check


def files() -> Iterator[Check]:
    """Both configuration files parse, and hold nothing that nobody reads."""
    from llama_orch_utils import config

    found = config.load()
    read = [str(each) for each in (found.user_file, found.project_file) if each is not None and each.exists()]
    if found.warnings:
        for warning in found.warnings:
            yield Check("config", "warn", warning, f"edit {found.project_file or found.user_file}")
    else:
        yield Check("config", "ok", ", ".join(read) or "no file, the defaults count")


def log() -> Iterator[Check]:
    """The conversation log can be read, by nobody else."""
    from llama_orch.cli.logs import store

    path = store.log_file()
    if not path.exists():
        yield Check("log", "ok", "no conversation logged" if store.enabled() else "off")
        return
    count = len(store.conversations(100_000))
    if path.stat().st_mode & 0o077:
        yield Check("log", "warn", f"{path} can be read by others", f"chmod 600 {path}")
    else:
        yield Check("log", "ok", f"{path}: {count} conversation{'' if count == 1 else 's'}")


def targets() -> Iterator[Check]:
    """Every target with an address answers, and takes the key. Goes to the network."""
    from llama_orch.cli.failure import words
    from llama_orch.cli.target.places import ANSWER_SECONDS, CONNECT_SECONDS, places
    from llama_orch_utils import Client, Timeouts
    from llama_orch_utils.errors import NotAuthorised, OrchError

    limits = Timeouts(connect=CONNECT_SECONDS, total=ANSWER_SECONDS)
    for place in places():
        if place.url is None:
            continue
        try:
            with Client(place.name, timeouts=limits, retries=0) as client:
                count = len(client.models())
        except OrchError as error:
            message, hint = words(error)
            mend = f"orch auth login {place.name}" if isinstance(error, NotAuthorised) else hint
            yield Check(f"target {place.name}", "fail", message, mend or f"orch target test {place.name}")
        else:
            yield Check(f"target {place.name}", "ok", f"{place.url} serves {count} models")
