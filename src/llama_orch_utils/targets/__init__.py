# SPDX-License-Identifier: Apache-2.0
"""What a target is, which one is meant, and how the local one is started."""

from __future__ import annotations

from llama_orch_utils.targets.choose import PUBLIC_URL, choose
from llama_orch_utils.targets.target import Target, base_url

__all__ = ["PUBLIC_URL", "Target", "base_url", "choose"]
