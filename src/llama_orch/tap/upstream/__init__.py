# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's side of the connections to workers (Unix sockets) and servers elsewhere (TCP, TLS), used again."""

from llama_orch.tap.upstream.address import Address
from llama_orch.tap.upstream.connection import UpstreamBroken, UpstreamConnection
from llama_orch.tap.upstream.pool import Place, Pool

__all__ = ["Address", "Place", "Pool", "UpstreamBroken", "UpstreamConnection"]
