# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap serve`: several gateway processes behind one port, and one process over them that has the local workers.

The supervisor answers no request itself. It holds the listening sockets (so that connections wait while a gateway that
died is started anew), lends its workers to the gateways, tells each what the others found out, and ends them in order.
"""

from llama_orch.tap.supervisor.serve import serve_tap

__all__ = ["serve_tap"]
