# SPDX-License-Identifier: GPL-3.0-or-later
"""`/admin/v1`: what the commands of `orch tap` do, over HTTP and with keys of its own."""

from llama_orch.tap.admin.handler import handle

__all__ = ["handle"]
