# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tap does by the clock: warnings, their webhook, the month fee. One thread per tap."""

from llama_orch.tap.notices.keeper import Notices, start

__all__ = ["Notices", "start"]
