# SPDX-License-Identifier: GPL-3.0-or-later
"""The model store: which models this machine has, where they lie, and what their metadata says."""

from llama_orch.models.gguf_header import GgufHeader, read_header
from llama_orch.models.held_file import HeldFile
from llama_orch.models.store import Removed, Store
from llama_orch.models.stored_model import DEMO_ID, StoredModel

__all__ = [
    "DEMO_ID",
    "GgufHeader",
    "HeldFile",
    "Removed",
    "Store",
    "StoredModel",
    "read_header",
]
