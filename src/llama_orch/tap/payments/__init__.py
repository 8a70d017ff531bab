# SPDX-License-Identifier: GPL-3.0-or-later
"""Purchases: the webhook of a payment provider, and vouchers that clients redeem."""

from llama_orch.tap.payments.stripe import handle

__all__ = ["handle"]
