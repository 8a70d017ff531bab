# SPDX-License-Identifier: Apache-2.0
"""A question and documents in; a draft whose claims quote them out."""

from __future__ import annotations

from llama_orch_applet_reply.draft import Claim, Question, Reply, reply

__all__ = ["Claim", "Question", "Reply", "reply"]
