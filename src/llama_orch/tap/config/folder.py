# SPDX-License-Identifier: GPL-3.0-or-later
"""Which folder a command is about: the one that is named, else ORCH_TAP_DIR, else where one stands."""

from __future__ import annotations

import os
from pathlib import Path

from llama_orch.tap.config.record import FILE
from llama_orch_utils.errors import ConfigError

VARIABLE = "ORCH_TAP_DIR"


def chosen(given: str | None) -> Path:
    """The folder, whether there is a tap in it or not."""
    return Path(given or os.environ.get(VARIABLE, "").strip() or ".").expanduser().absolute()


def existing(given: str | None) -> Path:
    """The folder of a tap. Raises ConfigError with the next command where there is none."""
    folder = chosen(given)
    if (folder / FILE).is_file():
        return folder
    named = given or os.environ.get(VARIABLE, "").strip()
    if named:
        message = f"there is no tap in {folder}: {FILE} is missing"
        raise ConfigError(message, file=str(folder / FILE), hint=f"orch tap init {named}")
    message = f"there is no tap here: {folder} holds no {FILE}"
    raise ConfigError(message, file=str(folder / FILE), hint=f"name its folder: --dir DIR, or export {VARIABLE}=DIR")
