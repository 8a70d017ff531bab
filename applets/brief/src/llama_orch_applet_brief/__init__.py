# SPDX-License-Identifier: Apache-2.0
"""A page or notes in; a content brief out."""

from __future__ import annotations

from llama_orch_applet_brief.plan import Brief, Material, Section, brief

__all__ = ["Brief", "Material", "Section", "brief"]
