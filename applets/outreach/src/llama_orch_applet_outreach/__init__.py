# SPDX-License-Identifier: Apache-2.0
"""A lead and a brief in; a first message with no invented fact out."""

from __future__ import annotations

from llama_orch_applet_outreach.letter import Detail, Lead, Letter, outreach

__all__ = ["Detail", "Lead", "Letter", "outreach"]
