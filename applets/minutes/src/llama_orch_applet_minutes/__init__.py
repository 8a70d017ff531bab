# SPDX-License-Identifier: Apache-2.0
"""A transcript in; decisions, actions and open questions out."""

from __future__ import annotations

from llama_orch_applet_minutes.meeting import Action, Minutes, Noted, Transcript, minutes

__all__ = ["Action", "Minutes", "Noted", "Transcript", "minutes"]
