# SPDX-License-Identifier: GPL-3.0-or-later
"""Chat templates from model files, rendered in a sandbox."""

from llama_orch.engine.template.chat import CHATML, FALLBACK, MAX_MESSAGES, ChatTemplate

__all__ = ["CHATML", "FALLBACK", "MAX_MESSAGES", "ChatTemplate"]
