# SPDX-License-Identifier: Apache-2.0
"""A ticket in; its category, priority, sentiment, language and team out."""

from __future__ import annotations

from llama_orch_applet_triage.tickets import Ticket, Triage, triage

__all__ = ["Ticket", "Triage", "triage"]
