# SPDX-License-Identifier: Apache-2.0
"""What the user has chosen, and where each choice came from.

    config.load().get("model").value      the value that counts
    config.load().get("model").origin     flag, environment, project, user or default, and the file or variable

Precedence: flag, environment, project file (`orch.toml`), user file (`config.toml`), default.
"""

from __future__ import annotations

from llama_orch_utils.config.load import Config, TargetEntry, load
from llama_orch_utils.config.origin import Origin, Value
from llama_orch_utils.config.settings import SETTINGS, Setting, SettingValue
from llama_orch_utils.config.store import project_file, set_value, unset_value, user_file

__all__ = [
    "SETTINGS",
    "Config",
    "Origin",
    "Setting",
    "SettingValue",
    "TargetEntry",
    "Value",
    "load",
    "project_file",
    "set_value",
    "unset_value",
    "user_file",
]
