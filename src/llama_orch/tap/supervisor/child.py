# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m llama_orch.tap.supervisor.child CHANNEL LISTENER`: a gateway process, by its two descriptors."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys

import uvloop

from llama_orch.tap.supervisor.gateway import Gateway

_GARBAGE = 5_000
"""Objects until the first collection: a request makes no circles, and a few hundred objects."""


async def serve(channel: int, listener: int) -> None:
    """Serves on the listening socket `listener` what the supervisor at `channel` says."""
    with socket.socket(fileno=listener) as listening:
        await Gateway(listening).run(socket.socket(fileno=channel))


def main() -> int:
    """The process."""
    channel, listener = (int(each) for each in sys.argv[1:3])
    gc.freeze()  # the modules stay: no collection walks them again
    gc.set_threshold(_GARBAGE, 20, 50)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(channel, listener))
    return 0


if __name__ == "__main__":
    sys.exit(main())
