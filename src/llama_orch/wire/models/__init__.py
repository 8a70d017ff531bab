# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /v1/models` and `GET /v1/models/{id}`."""

from llama_orch.wire.models.answer import ModelEntry, listing, one

__all__ = ["ModelEntry", "listing", "one"]
