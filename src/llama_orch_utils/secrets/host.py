# SPDX-License-Identifier: Apache-2.0
"""The host that a key belongs to."""

from __future__ import annotations

from urllib.parse import urlsplit

from llama_orch_utils.errors import ConfigError

_PORTS = {"http": 80, "https": 443}


def host_of(url: str) -> str:
    """`scheme://name[:port]` of an address, lower case, the scheme's own port left out.

    Raises ConfigError for what is no http(s) address, or carries a user name or password.
    """
    hint = "use an address such as https://tap.example/v1"
    try:
        parts = urlsplit(url)
        port, name = parts.port, parts.hostname
    except ValueError as error:
        raise ConfigError("the address of the target cannot be read", key="url", hint=hint) from error
    if parts.scheme.lower() not in _PORTS or not name:
        raise ConfigError("a target's address starts with http:// or https:// and a host name", key="url", hint=hint)
    if "@" in parts.netloc:
        raise ConfigError(
            "a target's address must not hold a user name or password", key="url", hint="orch auth login keeps keys"
        )
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ConfigError("a target's address must not hold spaces or control characters", key="url", hint=hint)
    scheme = parts.scheme.lower()
    host = f"[{name}]" if ":" in name else name
    suffix = "" if port is None or port == _PORTS[scheme] else f":{port}"
    return f"{scheme}://{host.lower()}{suffix}"
