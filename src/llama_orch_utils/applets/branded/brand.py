# SPDX-License-Identifier: Apache-2.0
"""What a client's command is called, and where it asks."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

# The name by itself, as a part of a command, of a package, of a variable, of an address of ours.
_OURS = re.compile(r"\b(?:llama[-_ ]?orch(?:[-_]\w+)*|orch)\b|ORCH_\w+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Brand:
    """`name` is the command, `title` what people call it; `accent` a colour (#rrggbb); `url` and `model` the target.

    `texts` are what its applets may fill into their prompts; `icon` is the logo as a data: URI.
    """

    name: str
    title: str
    version: str
    applets: tuple[str, ...]
    url: str
    model: str | None = None
    support: str = ""
    legal: tuple[str, ...] = ()
    accent: str = ""
    welcome: str = ""
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    icon: str = field(default="", repr=False)

    @property
    def prefix(self) -> str:
        """Of its environment variables: ACME_HELPDESK for acme-helpdesk."""
        return self.name.upper().replace("-", "_")

    @property
    def home(self) -> Path:
        """Where its files lie."""
        given = os.environ.get(f"{self.prefix}_HOME")
        if given:
            return Path(given).expanduser().absolute()
        base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return Path(base).expanduser() / self.name

    def slots(self) -> dict[str, str]:
        """What prompts may use."""
        return {"name": self.title, "support": self.support, "legal": "\n".join(self.legal), **self.texts}

    def foot(self) -> list[str]:
        """What stands below everything that is looked at: where help is, and the legal lines."""
        return [*([f"Support: {self.support}"] if self.support else []), *self.legal]

    def own(self, words: str) -> str:
        """Words of the library in the words of this command."""
        return _OURS.sub(lambda found: self.title if "llama" in found[0].lower() else self.name, words)


def read(package: str) -> Brand:
    """The brand in the package that was made for it."""
    raw: dict[str, Any] = json.loads(files(package).joinpath("brand.json").read_text("utf-8"))
    for name in ("applets", "legal"):
        raw[name] = tuple(raw.get(name, ()))
    return Brand(**raw)


def notices(package: str) -> str:
    """The licence notices of everything in it."""
    return files(package).joinpath("NOTICES.txt").read_text("utf-8")
