# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading a model on the prebuilt engine, where the worker runs in an environment that holds that one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from llama_orch.worker.service import Service
from llama_orch_utils.errors import EngineFailed

if TYPE_CHECKING:
    from llama_orch.engine.engine import Engine
    from llama_orch.engine.records import LoadProgress

_TUNING = (
    "cache_type_k", "cache_type_v", "rope_scaling", "rope_scale", "yarn_original_context", "loras", "draft",
    "draft_tokens", "projector", "split", "tensor_split",
)  # fmt: skip


def load(service: Service, progress: LoadProgress) -> Engine:
    """The service's model; what the worker asks of an Engine, it answers. Raises EngineFailed for what it cannot."""
    import_module("llama_orch.worker.metrics")  # here it holds up nobody
    from llama_orch.engine.prebuilt import BUILD
    from llama_orch.engine.prebuilt.engine import PrebuiltEngine
    from llama_orch.engine.records import EngineOptions

    wanted = service.options
    if wanted.gpu == "require" or wanted.gpus:
        raise EngineFailed("the prebuilt engine computes on the CPU", hint=BUILD, code="engine_unsupported")
    options = EngineOptions(
        context=wanted.context,
        slots=wanted.slots,
        threads=wanted.threads,
        gpu_layers=wanted.gpu_layers or 0,
        **{name: getattr(wanted, name) for name in _TUNING},
    )
    return cast("Engine", PrebuiltEngine.load(wanted.model, options, service.dispatcher.deliver, progress))
