# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m llama_orch.worker --socket PATH --model FILE --name ID …`."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Runs the worker until it is idle for long enough, told to stop, or broken; returns the exit status."""
    import faulthandler

    # llama.cpp can abort the process: the Python side of where it happened belongs to the last words in the log.
    faulthandler.enable()
    # OpenMP's spinning barriers collapse on a busy machine; libgomp reads this when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from llama_orch.worker.options import parse
    from llama_orch.worker.process import run

    return run(parse(sys.argv[1:]))


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # A thread may still be inside llama.cpp (a load that was interrupted): the interpreter's own way out would pull the
    # library away from under it.
    os._exit(status)
