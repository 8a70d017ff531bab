# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker whose decode thread meets a defect at its twentieth step, or that waits while it loads. Run by path."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from llama_orch.engine.model import Model
from llama_orch.engine.scheduler import Scheduler
from llama_orch.worker.__main__ import main

step, load = Scheduler.step, Model.load


def failing(scheduler: Scheduler, *rest: object) -> list[object]:
    if scheduler.counters.steps >= 20:
        raise RuntimeError("a planted defect")
    return step(scheduler, *rest)


def slow(*arguments: object) -> Model:
    while not Path(os.environ["GO_ON"]).exists():
        time.sleep(0.01)
    return load(*arguments)


if "GO_ON" in os.environ:
    Model.load = slow
else:
    Scheduler.step = failing
status = main()
sys.stderr.flush()
os._exit(status)
