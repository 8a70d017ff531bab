# SPDX-License-Identifier: GPL-3.0-or-later
"""The models that one gateway serves, and the workers behind them: loaded when asked for, swapped out by memory.

A worker belongs to its fleet alone: nobody else finds it, and it ends with the fleet's process however that ends (the
lifeline of `pool.spawn`).
"""

from llama_orch.pool.fleet.fleet import Fleet
from llama_orch.pool.fleet.lease import Lease
from llama_orch.pool.fleet.model import FleetModel, State

__all__ = ["Fleet", "FleetModel", "Lease", "State"]
