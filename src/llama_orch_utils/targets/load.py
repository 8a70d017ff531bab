# SPDX-License-Identifier: Apache-2.0
"""The settings of a local worker, from the values of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from llama_orch_utils.config.settings import SettingValue, read_adapters, read_numbers, read_shares
from llama_orch_utils.targets.local import WorkerSettings

_LISTS = {"gpus": read_numbers, "tensor_split": read_shares, "loras": read_adapters}


def read_worker_settings(values: Mapping[str, SettingValue]) -> WorkerSettings:
    """The settings in `values`, by the names of the configuration; None and what is missing: the default."""
    found: dict[str, Any] = {}
    for name in (each.name for each in fields(WorkerSettings)):
        value = values.get(name)
        if value is None:
            continue
        found[name] = _LISTS[name](value) if name in _LISTS else value
    return WorkerSettings(**found)
