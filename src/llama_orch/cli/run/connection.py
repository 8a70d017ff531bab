# SPDX-License-Identifier: GPL-3.0-or-later
"""The client for the target and the model that the options, the environment and the files mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.failure import UsageError

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.cli.run.asking import Reaching
    from llama_orch.cli.run.loading import Loading
    from llama_orch_utils import Client

_FLAGS = ("model", "target", "context", "slots", "threads", "gpu_layers")
DEMO = "orch-demo"
DEMO_NOTICE = (
    f"note: {DEMO} answers, the built-in demo: it knows llama-orch and small talk. "
    "A real model: orch models link FILE.gguf, then orch run -m NAME"
)


@dataclass(frozen=True, slots=True)
class Connection:
    """An open client; `target` as answers call it, `model` what is asked for (None: the target decides).

    `loading` shows the start of a local worker; whoever asks clears it when the call ends early.
    """

    client: Client
    target: str
    model: str | None
    local: bool
    loading: Loading

    @property
    def demo(self) -> bool:
        """Whether the embedded demo answers: by name, or because nobody chose a model."""
        return self.local and self.model in {None, DEMO}


def connect(options: Reaching, out: Output) -> Connection:
    """Open the client. Nothing is sent and nothing is started yet. Raises UsageError, ConfigError."""
    from llama_orch.cli.run import idle, placing
    from llama_orch.cli.run.loading import Loading
    from llama_orch_utils import Client, config
    from llama_orch_utils.targets.choose import choose

    flags = {**{name: getattr(options, name) for name in _FLAGS}, **placing.given(options)}
    found = config.load({**flags, "keep_alive": _keep_alive(options)})
    target = choose(None, found)
    idle.check(found, elsewhere=None if target.is_local else target.name)
    if target.is_local:
        idle.warn_of_draft(found, out)
        _ensure_engine(found.get("engine").value, out)
    loading = Loading(out)
    client = Client(config=found, listener=loading, max_cost=options.max_cost)
    return Connection(client, target.name, target.model, target.is_local, loading)


def _ensure_engine(engine: object, out: Output) -> None:
    """Offers to build an engine where there is none. Raises ConfigError. A warm start pays for one look."""
    from importlib.util import find_spec

    if engine in (None, "installed") and find_spec("llama_cpp") is None:
        from llama_orch.cli.engine.offer import ensure

        ensure(None, out)


def _keep_alive(options: Reaching) -> float | None:
    from llama_orch_utils.config.settings import read_duration

    if options.keep_alive is None:
        return None
    try:
        return read_duration(options.keep_alive)
    except ValueError as error:
        raise UsageError(f"--keep-alive must be {error}, not '{options.keep_alive}'", hint="--keep-alive 5m") from error
