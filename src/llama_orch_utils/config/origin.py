# SPDX-License-Identifier: Apache-2.0
"""A value and the place that it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llama_orch_utils.config.settings import SettingValue

OriginKind = Literal["flag", "environment", "project", "user", "default"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: the `kind`, and the variable or file in `where` (empty for flag and default)."""

    kind: OriginKind
    where: str = ""

    def __str__(self) -> str:
        """In words: `environment ORCH_MODEL`, `project /home/a/b/orch.toml`, `default`."""
        return f"{self.kind} {self.where}" if self.where else self.kind


@dataclass(frozen=True, slots=True)
class Value:
    """What counts for one setting. `value` is None where nothing is set and there is no default."""

    value: SettingValue
    origin: Origin
