# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings that a worker is loaded with: as its arguments, as part of its name, and against one that runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

from llama_orch.engines import runtime
from llama_orch.engines.names import INSTALLED
from llama_orch.models.stored_model import StoredModel
from llama_orch.pool import load_files
from llama_orch.pool.health import Health
from llama_orch.pool.record import WorkerRecord
from llama_orch_utils.targets.local import NO_PROJECTOR, WorkerSettings

_FILES = ("draft", "projector")
_LISTS = ("gpus", "tensor_split")
# A wish for one of these is met by a worker that has it; no wish by any worker.
_IF_WISHED = (
    "context", "slots", "threads", "gpu_layers", "gpus", "split", "tensor_split", "draft", "draft_tokens", "projector",
)  # fmt: skip
# These change what the model says: a worker that was given one is not for somebody who did not ask for it.
_EXACTLY = (
    "cache_type_k", "cache_type_v", "rope_scaling", "rope_scale", "yarn_original_context", "loras", "engine",
)  # fmt: skip
_DEFAULTS = WorkerSettings()


def settled(settings: WorkerSettings, model: StoredModel | None = None) -> WorkerSettings:
    """What `settings` mean: on the engine that is in use (None: the installed one), with the paths of their files.

    Without a wish for a projector, it is the one that `model` came with. Raises ConfigError where the engine is not
    there, EngineFailed where a file is not.
    """
    engine = runtime.runtime(settings.engine).name
    if settings.projector is None and model is not None and model.projector is not None:
        settings = replace(settings, projector=str(model.projector))
    return load_files.found(replace(settings, engine=None if engine == INSTALLED else engine))


def arguments(settings: WorkerSettings) -> Iterator[str]:
    """What the worker is told on its command line; what is as it is anyway is left out."""
    for name in (each.name for each in fields(settings)):
        value = getattr(settings, name)
        if name == "keep_alive" or value == getattr(_DEFAULTS, name):
            continue
        if name == "projector" and value == NO_PROJECTOR:
            continue
        flag = f"--{name.replace('_', '-')}"
        if name == "loras":
            for path, scale in value:
                yield from ("--lora", f"{scale:g}:{path}")
        elif name in _LISTS:
            yield from (flag, ",".join(f"{each:g}" for each in value))
        else:
            yield from (flag, str(value))


def identity(settings: WorkerSettings) -> tuple[object, ...]:
    """What of `settings` is part of a worker: all but `keep_alive`; the files as they are on the disk now."""
    asked = [getattr(settings, each.name) for each in fields(settings) if each.name != "keep_alive"]
    paths = [getattr(settings, name) for name in _FILES] + [path for path, _ in settings.loras]
    return (*asked, *(_state(path) for path in paths if path is not None))


def met(settings: WorkerSettings, record: WorkerRecord, health: Health) -> bool:
    """Whether the worker with `record` and `health` is one that these settings would have started."""
    if any(getattr(settings, name) != getattr(record, name) for name in _EXACTLY):
        return False
    for name in _IF_WISHED:
        wish = getattr(settings, name)
        if wish not in (None, (), getattr(record, name), health.number(name)):
            return False
    flash = settings.flash_attention
    return flash in ("auto", record.flash_attention) and _computes_where(settings, record, health)


def _computes_where(settings: WorkerSettings, record: WorkerRecord, health: Health) -> bool:
    on_gpu, layers = health.number("layers_gpu"), health.number("layers_total")
    if settings.gpu == "off":
        return record.gpu == "off" or on_gpu == 0
    if settings.gpu == "require":
        return record.gpu == "require" or (on_gpu is not None and on_gpu == layers)
    return record.gpu != "off"


def _state(path: str) -> tuple[int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
