# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m llama_orch.worker --socket PATH --model FILE --name ID …`."""

from __future__ import annotations

import os
import sys

_SPINS = "4000"
"""How often a thread looks whether the other is there before it goes to sleep (libgomp's GOMP_SPINCOUNT).

llama.cpp waits some hundred times a token. libgomp's own 300,000 collapse on a busy machine (a 0.5B model on 2 cores
beside another such: 20,000 give 4 tokens/s, 4,000 give 9, 1,000 give 12), no spinning at all (OMP_WAIT_POLICY=passive)
costs a third of the speed on a quiet one, 1,000 cost 6 %, 4,000 nothing."""


def main() -> int:
    """Runs the worker until it is idle for long enough, told to stop, or broken; returns the exit status."""
    import faulthandler

    # llama.cpp can abort the process: the Python side of where it happened belongs to the last words in the log.
    faulthandler.enable()
    if "OMP_WAIT_POLICY" not in os.environ:  # libgomp reads both when it is loaded
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
    from llama_orch.worker.options import parse
    from llama_orch.worker.process import run

    return run(parse(sys.argv[1:]))


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # A thread may still be inside llama.cpp (a load that was interrupted): the interpreter's own way out would pull the
    # library away from under it.
    os._exit(status)
