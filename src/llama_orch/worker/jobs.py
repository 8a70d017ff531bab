# SPDX-License-Identifier: GPL-3.0-or-later
"""Who does which job of `wire.routes`, as data: each is loaded when the first request asks for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from importlib import import_module
from typing import cast

from llama_orch.wire.routes import Job, Route
from llama_orch.worker.call import Call
from llama_orch.worker.service import Service

Handler = Callable[[Service, Call, Route], Awaitable[None]]
"""Answers the call, or raises an error of the one tree (or ClientGone): the application renders it."""

JOBS: Mapping[Job, str] = {
    "health": "llama_orch.worker.facts:health",
    "models": "llama_orch.worker.facts:models",
    "model": "llama_orch.worker.facts:model",
    "metrics": "llama_orch.worker.metrics:handle",
    "generate": "llama_orch.worker.generate:handle",
    "count": "llama_orch.worker.count:handle",
    "embed": "llama_orch.worker.embed:handle",
    "rerank": "llama_orch.worker.rerank:handle",
    "tokenize": "llama_orch.worker.tokenize:tokenize",
    "detokenize": "llama_orch.worker.tokenize:detokenize",
    "template": "llama_orch.worker.template:handle",
    "cancel": "llama_orch.worker.running:cancel",
    "running": "llama_orch.worker.running:listing",
    "counted": "llama_orch.worker.counted:handle",
}


@cache
def handler(job: Job) -> Handler:
    """The function that does `job`."""
    module, _, attribute = JOBS[job].partition(":")
    return cast("Handler", getattr(import_module(module), attribute))
