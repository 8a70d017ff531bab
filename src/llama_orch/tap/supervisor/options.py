# SPDX-License-Identifier: GPL-3.0-or-later
"""What one gateway process of a tap is told, made of tap.toml."""

from __future__ import annotations

from llama_orch.tap.config.record import TapConfig
from llama_orch.tap.settings import ServeOptions


def options_of(config: TapConfig, host: str, port: int) -> ServeOptions:
    """The options of a gateway at `host` and `port`."""
    limits = config.limits
    return ServeOptions(
        installed=False,
        host=host,
        port=port,
        origins=config.origins,
        hosts=config.hosts,
        cert=config.cert,
        key_file=config.key_file,
        gpu_layers=config.workers.gpu_layers,
        keep_alive=config.workers.keep_alive,
        max_queue=limits.max_queue,
        max_body=limits.max_body,
        max_held=limits.max_held,
        max_connections=limits.max_connections,
        load_wait=limits.load_wait,
        head_seconds=limits.head_seconds,
        body_seconds=limits.body_seconds,
        stuck_seconds=limits.stuck_seconds,
        grace=limits.grace,
        buffer=limits.buffer,
        connect_seconds=limits.connect_seconds,
    )
