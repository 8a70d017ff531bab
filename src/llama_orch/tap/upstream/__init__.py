# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's side of the connections to workers: HTTP/1.1 over Unix sockets, kept open and used again."""

from llama_orch.tap.upstream.connection import UpstreamBroken, UpstreamConnection
from llama_orch.tap.upstream.pool import Pool

__all__ = ["Pool", "UpstreamBroken", "UpstreamConnection"]
