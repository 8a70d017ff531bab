# SPDX-License-Identifier: Apache-2.0
"""A target: where requests go."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from llama_orch_utils.errors import ConfigError
from llama_orch_utils.secrets.host import host_of


@dataclass(frozen=True, slots=True)
class Target:
    """One target, before anything is connected.

    `name` as answers and errors call it; `url` its base with the `/v1`, None for the local one; `model` what is
    asked for there unless a call names another; `environment_key`: whether ORCH_API_KEY may be sent there.
    """

    name: str
    url: str | None = None
    model: str | None = None
    environment_key: bool = True

    @property
    def is_local(self) -> bool:
        """Whether requests stay on this machine, with a worker that this package may start."""
        return self.url is None


def base_url(url: str) -> str:
    """The base of a target's address: without a slash at its end, and `/v1` where no path was given.

    Raises ConfigError for what is no http(s) address, and for one with a query or a fragment.
    """
    host = host_of(url)
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise ConfigError(
            "a target's address holds no query and no fragment",
            key="url",
            hint="use an address such as https://tap.example/v1",
        )
    if not parts.path.isascii():
        raise ConfigError("a target's address is ASCII", key="url", hint="percent-encode the path")
    return host + (parts.path.rstrip("/") or "/v1")
