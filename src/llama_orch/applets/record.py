# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of an installed applet, as `applets.lock` keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from llama_orch.applets.place import Place
from llama_orch_utils.applets.manifest import Manifest, parse

Kind = Literal["wheel", "folder", "package", "bundle"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where it came from: `where` is a path or a requirement; `links`, `index` and `offline` as they were given."""

    kind: Kind
    where: str
    index: str | None = None
    links: tuple[str, ...] = ()
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One applet. `manifest` is its `applet.toml`, `schema` its JSON Schemas.

    `packages` maps each package of its environment to `VERSION sha256:…` (of its RECORD, which holds the hashes of its
    files). `signer` is the fingerprint of who signed its bundle, `brand` the bundle's texts,
    `icon` its logo (a data: URI).
    """

    id: str
    version: str
    package: str
    licence: str
    build: str
    python: str
    installed_at: str
    manifest: str
    schema: str
    origin: Origin
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    signer: str = ""
    brand: Mapping[str, str] = field(default_factory=dict[str, str])
    icon: str = field(default="", repr=False)

    @property
    def place(self) -> Place:
        """Where it lies."""
        return Place(self.id, self.build)

    def read_manifest(self) -> Manifest:
        """What it may touch. Raises AppletError."""
        return parse(self.manifest, f"applet.toml of {self.id}")

    def row(self) -> dict[str, Any]:
        """As the lock has it."""
        found = asdict(self)
        found["origin"] = {name: each for name, each in found["origin"].items() if each is not None}
        return found


def read(row: Mapping[str, Any]) -> Record:
    """The record in a row of the lock. Raises ValueError, TypeError, KeyError for what is none."""
    known = {each.name: row[each.name] for each in fields(Record) if each.name in row}
    origin = dict(row["origin"])
    origin["links"] = tuple(origin.get("links", ()))
    known["origin"] = Origin(**origin)
    if not all(isinstance(known.get(name), str) for name in ("id", "version", "package", "build", "manifest")):
        raise ValueError("a field is missing")
    return Record(**known)
