# SPDX-License-Identifier: GPL-3.0-or-later
"""`--tool MODULE:FUNC` or `--tool FILE.py:func`: Python functions of the user's own, as tools."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from llama_orch.cli.failure import UsageError

if TYPE_CHECKING:
    from llama_orch.cli.run.consent import Consent
    from llama_orch_utils.tools.definition import Tool

_EXAMPLE = "orch run --tool weather.py:weather 'Do I need a coat?'"


def load(given: Iterable[str], consent: Consent) -> list[Tool[..., Any]]:
    """The tools that `given` names; each run asks `consent` first. Raises UsageError, ToolError.

    Without a function (`FILE.py`), every `@tool` of the module is meant.
    """
    found: dict[str, Tool[..., Any]] = {}
    for word in given:
        for tool in _named(word):
            if tool.name in found:
                raise UsageError(f"--tool {word}: there are two tools called {tool.name}", hint=_EXAMPLE)
            tool.definition()  # what cannot be one is told before anything is sent
            found[tool.name] = _guarded(tool, consent)
    return list(found.values())


def _named(word: str) -> list[Tool[..., Any]]:
    from llama_orch_utils.tools.definition import Tool

    place, colon, name = word.rpartition(":")
    if not colon:
        place, name = word, ""
    if not place or (not name and not place.endswith(".py")):
        raise UsageError(f"--tool needs MODULE:FUNC or FILE.py:FUNC, not '{word}'", hint=_EXAMPLE)
    module = _file(place) if place.endswith(".py") else _module(place)
    if not name:
        tools = [cast("Tool[..., Any]", each) for each in vars(module).values() if isinstance(each, Tool)]
        if not tools:
            raise UsageError(f"{place} has no @tool", hint=f"name a function: --tool {place}:FUNC")
        return tools
    function = getattr(module, name, None)
    if not callable(function):
        from llama_orch.cli.suggest import nearest

        near = nearest(name, [each for each, value in vars(module).items() if callable(value)])
        meant = f"; did you mean '{near[0]}'?" if near else ""
        raise UsageError(f"{place} has no function '{name}'{meant}", hint=_EXAMPLE)
    return [cast("Tool[..., Any]", function) if isinstance(function, Tool) else Tool(function, name=name)]


def _file(place: str) -> ModuleType:
    import importlib.util

    path = Path(place).expanduser()
    if not path.is_file():
        raise UsageError(f"cannot read {place}: there is no such file", hint=f"ls {path.parent}")
    spec = importlib.util.spec_from_file_location(f"orch_tool_{path.stem}", path)
    assert spec is not None and spec.loader is not None, "a .py file has a loader"  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    # Where annotations are looked up, also those that name other things of the file.
    sys.modules[module.__name__] = module
    _run(place, functools.partial(spec.loader.exec_module, module))
    return module


def _module(place: str) -> ModuleType:
    import importlib

    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)  # last: a file of the folder cannot stand in for a module that orch needs
    found: list[ModuleType] = []
    _run(place, lambda: found.append(importlib.import_module(place)))
    return found[0]


def _run(place: str, load: Callable[[], object]) -> None:
    """Run the user's module; what it prints is no answer. Raises UsageError for what it raises."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            load()
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"--tool {place} cannot be loaded: {type(error).__name__}: {error}",
            hint=f"try it: python {place}" if place.endswith(".py") else f"try it: python -c 'import {place}'",
        ) from error


def _guarded(tool: Tool[..., Any], consent: Consent) -> Tool[..., Any]:
    """The tool, run only with consent; what it prints goes to stderr, as stdout is the answer's."""
    from llama_orch_utils.tools.definition import Tool

    function = tool.function

    @functools.wraps(function)
    def run(**arguments: Any) -> Any:
        consent.ask(tool.name, arguments)
        with _apart(tool.name):
            return function(**arguments)

    @functools.wraps(function)
    async def run_async(**arguments: Any) -> Any:
        consent.ask(tool.name, arguments)
        with _apart(tool.name):
            return await function(**arguments)

    asynchronous = inspect.iscoroutinefunction(inspect.unwrap(function))
    return Tool(run_async if asynchronous else run, name=tool.name, description=tool.description)


@contextlib.contextmanager
def _apart(name: str) -> Generator[None]:
    """A tool's run: what it prints goes to stderr, and its `sys.exit` is a failure of the tool, not our end."""
    from llama_orch_utils.errors import ToolError

    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except SystemExit as error:
        raise ToolError(f"the tool called sys.exit({error.code!r})", tool=name) from error


def terminal_at_hand() -> bool:
    """Whether there is a terminal to ask at, be it that stdin is something else."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
