# SPDX-License-Identifier: Apache-2.0
"""Keeping and forgetting keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llama_orch_utils.errors import ConfigError
from llama_orch_utils.secrets import ring
from llama_orch_utils.secrets.host import host_of
from llama_orch_utils.secrets.keyfile import key_file, read_keys, write_key

__all__ = ["Kept", "forget", "keep", "key_file", "stored_hosts"]


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a key for `host` was put, and in `note` why not in the keyring."""

    host: str
    place: Literal["keyring", "file"]
    note: str = ""


def keep(url: str, value: str, *, place: Literal["keyring", "file"] | None = None) -> Kept:
    """Keep `value` for the host of `url`: in the keyring, else in the key file (or in `place` and nowhere else).

    Raises ConfigError for an empty or impossible key, and if the named place cannot keep it.
    """
    host, value = host_of(url), value.strip()
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise ConfigError(
            "a key is printable ASCII without spaces", key="key", hint="paste the key again: orch auth login"
        )
    note = ""
    if place != "file":
        try:
            ring.put(host, value)
        except ring.KeyringSilent as error:
            note = str(error)
            if place == "keyring":
                raise ConfigError(f"the key was not kept: {note}", hint="orch auth login --file") from error
        else:
            write_key(host, None)  # an older one must not come back when the keyring is locked
            return Kept(host, "keyring")
    write_key(host, value)
    return Kept(host, "file", note)


def forget(url: str) -> tuple[str, ...]:
    """Remove every key kept for the host of `url` and tell the places that had one."""
    host = host_of(url)
    places: list[str] = []
    try:
        if ring.drop(host):
            places.append("keyring")
    except ring.KeyringSilent as error:
        if host not in read_keys() and not isinstance(error, ring.KeyringAbsent):
            raise ConfigError(
                f"cannot look into the keyring: {error}", hint="unlock the keyring and try again"
            ) from error
    if write_key(host, None):
        places.append("file")
    return tuple(places)


def stored_hosts() -> tuple[str, ...]:
    """The hosts in the key file; a keyring cannot be listed."""
    return tuple(read_keys())
