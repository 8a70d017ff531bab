# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker that gets less memory than it was told of: the limit comes after the numbers were looked at. Run by path.

STARVE=load: while the model is loaded; STARVE=later: once it serves. The limit is the kernel's (RLIMIT_AS), so that
llama.cpp's and Python's own allocations fail.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from pathlib import Path

from llama_orch.engine.context import Context
from llama_orch.worker.__main__ import main

_MIB = 2**20
make = Context.__init__


def limit(spare: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + spare
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def starved(context: Context, *rest: object, **more: object) -> None:
    limit(int(os.environ.get("SPARE", "4")) * _MIB)
    make(context, *rest, **more)


def later() -> None:
    while not Path(os.environ["GO_ON"]).exists():
        time.sleep(0.01)
    limit(0)
    Path(os.environ["GO_ON"]).with_suffix(".limited").touch()


if os.environ.get("STARVE") == "load":
    Context.__init__ = starved
elif os.environ.get("STARVE") == "later":
    threading.Thread(target=later, daemon=True).start()
status = main()
sys.stderr.flush()
os._exit(status)
