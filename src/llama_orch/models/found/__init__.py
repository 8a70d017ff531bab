# SPDX-License-Identifier: GPL-3.0-or-later
"""Models that other programs keep on this machine: Ollama, LM Studio, the Hugging Face cache. Nothing is changed."""

from llama_orch.models.found.finding import APPS, Finding, find
from llama_orch.models.found.found_model import FoundModel

__all__ = ["APPS", "Finding", "FoundModel", "find"]
