# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch run` where there is no engine at all: on a terminal it offers to build one, elsewhere it says the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.engines.wish import Wish

_YES = ("y", "yes")


def ensure(engine: str | None, out: Output) -> None:
    """Comes back when `engine` (None: the installed one) can be started.

    Raises ConfigError with the command that mends it: nobody can be asked, or the answer was no.
    """
    from llama_orch.engines import runtime
    from llama_orch.engines.names import INSTALLED
    from llama_orch_utils.errors import ConfigError

    try:
        runtime.check(engine or INSTALLED)
    except ConfigError as error:
        if engine not in (None, INSTALLED) or error.hint != runtime.BUILD or not _can_ask(out):
            raise
        wish, question = _proposal()
        if not _agreed(question, out):
            raise
        _build(wish, out)


def _can_ask(out: Output) -> bool:
    from llama_orch.cli.run.toolset import terminal_at_hand

    return not out.quiet and out.stderr.isatty() and terminal_at_hand()


def _proposal() -> tuple[Wish, str]:
    """What can be had here, and how it is offered. Raises ConfigError with what is missing where nothing can."""
    from llama_orch.engines import preflight, processor
    from llama_orch.engines.wish import Wish

    backend = processor.backend()
    wish = Wish(backend, backend)
    lacks = preflight.lacks(wish)
    if not lacks:
        return wish, f"There is no engine yet. Build llama.cpp for {backend} now? It takes some minutes. [y/N] "
    ready = Wish("prebuilt", "cpu", "prebuilt")
    preflight.check(ready)
    words = f"There is no engine yet, and {lacks[0].what} to build one (mend it: {lacks[0].hint})."
    return ready, f"{words}\nTake a prebuilt one instead? It is slower. [y/N] "


def _agreed(question: str, out: Output) -> bool:
    painted = out.paint(question, "yellow", stream=out.stderr)
    with open("/dev/tty", "r+b", buffering=0) as terminal:  # noqa: PTH123 - a device, unbuffered
        terminal.write(painted.encode("utf-8", "replace"))
        return terminal.readline().decode("utf-8", "replace").strip().lower() in _YES


def _build(wish: Wish, out: Output) -> None:
    from llama_orch.cli.engine.build import run
    from llama_orch.engines import choice

    made = run(wish, out)
    choice.use(made.name)
    out.note(f"the engine {made.name} is in use (orch engine ls)")
