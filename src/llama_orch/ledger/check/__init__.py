# SPDX-License-Identifier: GPL-3.0-or-later
"""Proves the ledger's invariants on a live database, and names everything that breaks one."""

from llama_orch.ledger.check.check import check
from llama_orch.ledger.check.rule import Finding, Rule

__all__ = ["Finding", "Rule", "check"]
