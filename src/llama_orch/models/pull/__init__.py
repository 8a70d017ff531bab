# SPDX-License-Identifier: GPL-3.0-or-later
"""From a name to a model of the store: what has to be fetched is planned, fetched, checked, and installed as one."""

from llama_orch.models.pull.plan import Plan, PlannedFile
from llama_orch.models.pull.planning import Choice, Planner
from llama_orch.models.pull.pull import Pull, Pulled

__all__ = ["Choice", "Plan", "PlannedFile", "Planner", "Pull", "Pulled"]
