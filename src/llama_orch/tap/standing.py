# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a model can be asked for, as it is told to everybody: the ready line, `/ready`, the list of models."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_orch.pool.fleet import FleetModel
    from llama_orch.pool.fleet.model import State
    from llama_orch.tap.config.record import TapModel
    from llama_orch.tap.tap import Tap


def standing(spec: TapModel, here: Collection[FleetModel], *, reachable: bool = True) -> State:
    """Of a tap's model: `here` are the workers' models, `reachable` is whether one of its upstreams may be asked.

    A worker that failed counts only where nobody else answers for the model.
    """
    if spec.local is not None:
        worker = next((each for each in here if each.id == spec.name), None)
        if not spec.upstreams or (worker is not None and worker.state != "failed"):
            return "failed" if worker is None else worker.state
    return "ready" if reachable else "failed"


def failed(tap: Tap) -> list[str]:
    """The models of this gateway that cannot be asked for now."""
    here = tap.fleet.models()
    if tap.routing is None:
        return [model.id for model in here if model.state == "failed"]
    return [routed.spec.name for routed in tap.routing.all() if routed.standing(here) == "failed"]
