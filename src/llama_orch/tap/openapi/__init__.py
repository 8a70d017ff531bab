# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /openapi.json`: what is served, made from the route table and the schemas beside each dialect's parser."""

from llama_orch.tap.openapi.handler import handle

__all__ = ["handle"]
