# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a tap's database is: a SQLite file, or PostgreSQL by URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from llama_orch_utils.errors import ConfigError

_HINT = "write it as sqlite:////var/lib/tap/ledger.db or postgresql://USER@HOST/NAME"


@dataclass(frozen=True, slots=True)
class Address:
    """`location` is a file's path, or what libpq takes; `shown` is the same without a password."""

    kind: Literal["sqlite", "postgresql"]
    location: str
    shown: str

    def __repr__(self) -> str:
        """Without the password."""
        return f"Address({self.shown})"


def address(url: str) -> Address:
    """Reads `sqlite:///relative`, `sqlite:////absolute`, `postgresql://…` or a plain path. Raises ConfigError."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _file(url)
    scheme = scheme.partition("+")[0].lower()
    if scheme == "sqlite":
        return _file(unquote(rest.removeprefix("/")) if rest.startswith("/") else "")
    if scheme in {"postgresql", "postgres"}:
        return Address("postgresql", f"postgresql://{rest}", _without_password(f"postgresql://{rest}"))
    raise ConfigError(f"no ledger speaks {scheme!r}", key="database", hint=_HINT)


def _file(path: str) -> Address:
    if not path or "\0" in path or path.startswith(":memory:"):
        raise ConfigError("the database's address names no file", key="database", hint=_HINT)
    return Address("sqlite", path, path)


def _without_password(url: str) -> str:
    """The URL with no password, neither before the host nor among the parameters."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError("the database's URL cannot be read", key="database", hint=_HINT) from None
    user, _, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    shown = (part for part in parts.query.split("&") if not part.lower().startswith(("password=", "sslpassword=")))
    query = "&".join(shown)
    return urlunsplit((parts.scheme, f"{name}@{host}" if name else host, parts.path, query, ""))
