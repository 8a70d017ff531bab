# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account and a key may know of themselves: `GET /v1/credits`, `GET /v1/key`, `GET /v1/usage`."""

from llama_orch.tap.credits.balance import balance
from llama_orch.tap.credits.key import key
from llama_orch.tap.credits.usage import usage

__all__ = ["balance", "key", "usage"]
