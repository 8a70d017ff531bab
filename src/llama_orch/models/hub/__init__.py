# SPDX-License-Identifier: GPL-3.0-or-later
"""The Hugging Face Hub, or a mirror of it: its repositories, its refusals, its cache on this machine.

Tokens, endpoint and cache are huggingface_hub's: what its users have set up holds here as well.
"""

from llama_orch.models.hub.repository import HubFile, Repository
from llama_orch.models.hub.selection import Selection, Wish, select
from llama_orch.models.hub.settings import HubSettings

__all__ = ["HubFile", "HubSettings", "Repository", "Selection", "Wish", "select"]
