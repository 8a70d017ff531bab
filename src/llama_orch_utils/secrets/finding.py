# SPDX-License-Identifier: Apache-2.0
"""Finding the key for a host: environment, keyring, file, in this order."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from llama_orch_utils.secrets import ring
from llama_orch_utils.secrets.host import host_of
from llama_orch_utils.secrets.keyfile import key_file, read_keys
from llama_orch_utils.secrets.secret import Secret

VARIABLE = "ORCH_API_KEY"


@dataclass(frozen=True, slots=True)
class Search:
    """What was found for `host`, and in `notes` why a place could not be asked."""

    host: str
    secret: Secret | None
    notes: tuple[str, ...] = ()


def find(url: str, *, environment: bool = True, environ: Mapping[str, str] | None = None) -> Secret | None:
    """The key for the host of `url`, or None.

    `environment=False` leaves ORCH_API_KEY out: it is bound to no host, so it must not go to one that a project
    file chose. Raises ConfigError if the key file can be read by others.
    """
    return search(url, environment=environment, environ=environ).secret


def search(url: str, *, environment: bool = True, environ: Mapping[str, str] | None = None) -> Search:
    """As `find`, with the places that could not be asked."""
    host = host_of(url)
    value = (os.environ if environ is None else environ).get(VARIABLE, "").strip()
    if environment and value:
        return Search(host, Secret(value, "environment", VARIABLE))
    notes: tuple[str, ...] = ()
    try:
        kept = ring.ask(host)
    except ring.KeyringSilent as error:
        kept, notes = None, (str(error),)
    if kept:
        return Search(host, Secret(kept, "keyring", ring.SERVICE), notes)
    in_file = read_keys().get(host)
    return Search(host, Secret(in_file, "file", str(key_file())) if in_file else None, notes)
