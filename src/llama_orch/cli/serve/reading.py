# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of `orch serve`, with what the environment and the files say, as the gateway's options."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from llama_orch.cli.failure import UsageError

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.cli.serve.command import Serve
    from llama_orch.models.stored_model import StoredModel
    from llama_orch.tap.settings import ServeOptions
    from llama_orch_utils.config import Config
    from llama_orch_utils.secrets import Secret

_WORKER = ("context", "slots", "threads", "gpu_layers")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?", re.IGNORECASE)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_LEAST_MEMORY = 2**20
_NEVER = "never"


def read(options: Serve, out: Output) -> ServeOptions:
    """Raises UsageError for what cannot be meant, ModelNotFound with near misses, ConfigError, EngineFailed."""
    import os
    from pathlib import Path

    from llama_orch.cli.run import idle, placing
    from llama_orch.cli.serve import key
    from llama_orch.tap.settings import ServeOptions
    from llama_orch_utils import config
    from llama_orch_utils.targets.load import read_worker_settings

    _check(options)
    found = config.load({**{name: getattr(options, name) for name in _WORKER}, **placing.given(options)})
    if options.no_auth and os.environ.get(key.VARIABLE, "").strip():
        out.warn(f"{key.VARIABLE} is set, and --no-auth asks nobody for it", "leave --no-auth out to ask for the key")
    idle.check(found)
    idle.warn_of_draft(found, out)
    for warning in found.warnings:
        out.warn(warning)
    models, pinned = _models(options, found)
    worker = read_worker_settings({name: value.value for name, value in found.values.items()})
    return ServeOptions(
        models=models,
        pinned=pinned,
        memory=None if options.memory is None else size(options.memory),
        host=options.host,
        port=options.port,
        key=None if options.no_auth else _key(options),
        no_auth=options.no_auth,
        origins=options.allow_origin,
        hosts=options.allow_host,
        cert=Path(options.cert).expanduser() if options.cert else None,
        key_file=Path(options.key).expanduser() if options.key else None,
        context=worker.context,
        slots=worker.slots,
        threads=worker.threads,
        gpu_layers=worker.gpu_layers,
        worker=worker,
        keep_alive=-1.0 if options.keep_alive in {None, _NEVER} else _duration("--keep-alive", options.keep_alive),
        max_queue=options.max_queue,
        grace=_duration("--grace", options.grace or "10s"),
    )


def size(text: str) -> int:
    """Bytes: a number, or text such as 900M or 1.5GiB (powers of 1024). Raises UsageError."""
    found = _SIZE.fullmatch(text.strip())
    count = int(float(found[1]) * 2 ** _UNITS[found[2].lower()]) if found else 0
    if count < _LEAST_MEMORY:
        raise UsageError(f"--memory must be a size such as 8G or 900M, not '{text}'", hint="orch serve --memory 8G")
    return count


def _check(options: Serve) -> None:
    if (options.cert is None) != (options.key is None):
        # The value is not repeated: whoever takes --key for the API key's option has just typed one.
        raise UsageError(
            "TLS needs --cert and --key, both files (an API key is no argument: it comes from ORCH_API_KEY)",
            hint="orch serve --cert tap.pem --key tap.key",
        )


def _models(options: Serve, found: Config) -> tuple[tuple[StoredModel, ...], tuple[str, ...]]:
    """The models to load, in order and once each, and the names of the pinned ones."""
    from llama_orch.models.store import Store

    store = Store()
    pinned = [store.resolve(word) for word in options.pin]
    words = list(options.model)
    if not words and not pinned:
        words = [cast("str", found.get("model").value)]  # None: the demo
    models = {model.id: model for model in pinned}
    for word in words:
        model = store.resolve(word)
        other = models.setdefault(model.id, model)
        if other.path != model.path:
            raise UsageError(
                f"{model.path} and {other.path} would both be called {model.id}",
                hint=f"orch models link {model.path} --name NAME, then orch serve -m NAME",
            )
    return tuple(models.values()), tuple(model.id for model in pinned)


def _key(options: Serve) -> Secret | None:
    """The key of the environment; else, where only this machine can come, the one that is kept."""
    import os

    from llama_orch.cli.serve import key
    from llama_orch_utils.secrets import Secret

    given = os.environ.get(key.VARIABLE, "").strip()
    if given:
        return Secret(given, "environment", key.VARIABLE)
    return key.kept() if key.private(options.host) else None


def _duration(name: str, text: str | None) -> float:
    from llama_orch_utils.config.settings import read_duration

    try:
        return read_duration(text)
    except ValueError as error:
        raise UsageError(f"{name} must be {error}, not '{text}'", hint=f"orch serve {name} 5m") from error
