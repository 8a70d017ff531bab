# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs our worker: an interpreter and its environment, for the engine that is in use or another by name."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from llama_orch.engines import locks, needs, shelf
from llama_orch.engines.names import INSTALLED
from llama_orch.engines.place import Place
from llama_orch.engines.record import EngineRecord
from llama_orch_utils.errors import ConfigError

BUILD = "orch engine build"
"""The command that mends what has no engine at all."""
_NEEDED = ("llama_cpp", "numpy", "jinja2", "llguidance", "uvicorn")
_OF_ANOTHER = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__", "LLAMA_CPP_LIB_PATH")
"""Variables that would lead the interpreter of an engine into another environment."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """An engine that can be started: `record` is None for the one in our own environment."""

    name: str
    python: str
    record: EngineRecord | None = None

    def command(self, module: str, *arguments: str) -> list[str]:
        """The command line that runs one of our modules on this engine."""
        return [self.python, "-P", "-m", module, *arguments]

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """The variables for `command`, from those that are `given`. Raises ConfigError."""
        if self.record is None:
            return dict(given)
        from llama_orch.engines import code

        clean = {name: value for name, value in given.items() if name not in _OF_ANOTHER}
        return clean | {"PYTHONPATH": str(code.folder())}

    def held(self) -> AbstractContextManager[int | None]:
        """Within it, a descriptor to hand to a worker: while it lives, its engine is not removed. None: no need."""
        if self.record is None:
            return nullcontext()
        return locks.shared(Place(self.name).in_use(self.record.build))


def runtime(name: str | None = None) -> Runtime:
    """The engine `name`; None: the one that the settings choose, and the installed one where they choose none.

    Looks at files only, imports nothing. Raises ConfigError where it is not there.
    """
    wanted = chosen() if name is None else name
    if wanted == INSTALLED:
        return Runtime(INSTALLED, sys.executable)
    found = shelf.find(wanted)
    python = Place(wanted).python(found.build)
    if not os.access(python, os.X_OK):
        raise ConfigError(
            f"the engine {wanted} has lost its Python {found.python} ({python})",
            key="engine",
            hint=found.again,
        )
    lacking = lacks(found)
    if lacking:
        raise ConfigError(
            f"the engine {wanted} was built by another version of orch, and lacks {', '.join(lacking)}",
            key="engine",
            hint=found.again,
        )
    return Runtime(wanted, str(python), found)


def lacks(record: EngineRecord) -> list[str]:
    """What the worker of today needs and an engine that was built earlier does not hold."""
    return sorted(set(needs.names(record.kind)) - set(record.packages))


def chosen() -> str:
    """The name of the engine in use: flag, environment, project and user file decide, `installed` is the default."""
    from llama_orch_utils import config

    value = config.load().get("engine").value
    return value if isinstance(value, str) and value else INSTALLED


def check(name: str | None = None) -> Runtime:
    """The runtime, if a worker can start on it; imports nothing. Raises ConfigError with the command that mends it."""
    found = runtime(name)
    missing = missing_modules() if found.record is None else []
    if missing:
        raise ConfigError(
            f"the local engine is not installed ({', '.join(missing)}); pip install 'llama-orch[local]' puts it into "
            "this environment, orch engine build beside it",
            key="engine",
            hint=_mend(),
        )
    return found


def missing_modules() -> list[str]:
    """What our own environment lacks to run a worker; empty where it can."""
    return [name for name in _NEEDED if importlib.util.find_spec(name) is None]


def _mend() -> str:
    built = shelf.names()
    return f"orch engine use {built[0]}" if built else BUILD
