# SPDX-License-Identifier: GPL-3.0-or-later
"""An applet in the environment of `orch` itself: loaded here to know its inputs, run in a confined process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama_orch.applets import grants
from llama_orch.applets.confined import Processes

if TYPE_CHECKING:
    from pydantic import BaseModel

    from llama_orch.applets.grants import Grant
    from llama_orch_utils.applets import Applet, Manifest
    from llama_orch_utils.applets.prompts import Prompts

RUN_SECONDS = 6 * 3600.0
"""A book on a slow processor takes hours; what hangs is ended all the same."""


class Beside(Processes):
    """The applet as it is; only its runs are elsewhere."""

    def __init__(self, applet: Applet[Any, Any], *, seconds: float = RUN_SECONDS) -> None:
        super().__init__(applet.id, seconds)
        self._applet = applet

    @property
    def manifest(self) -> Manifest:
        """What it is, and what it asks for."""
        return self._applet.manifest

    @property
    def function(self) -> Callable[..., Any]:
        """The function that it is made of: its package holds its evaluation set."""
        return self._applet.function

    @property
    def prompts(self) -> Prompts:
        """Its wording."""
        return self._applet.prompts

    def schema(self) -> dict[str, Any]:
        """`id`, `summary`, `input`, `output`."""
        return self._applet.schema()

    def read(self, given: Mapping[str, Any]) -> BaseModel:
        """The input, checked. Raises BadRequest with the pointer to what does not fit."""
        return self._applet.read(given)

    def _words(self, grant: Grant) -> tuple[str, ...]:
        return grants.command(sys.executable, self.id, grant, import_paths())


def import_paths() -> list[str]:
    """Where this process imports from, but not the folder that it was started in: nobody gave that one.

    Python puts it, or that of the script, in the first place.
    """
    found = sys.path if sys.flags.safe_path else sys.path[1:]
    never = {os.sep, str(Path.home())}
    return [each for each in dict.fromkeys(map(os.path.abspath, filter(None, found))) if each not in never]
