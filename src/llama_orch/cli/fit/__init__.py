# SPDX-License-Identifier: GPL-3.0-or-later
"""What fits where: `orch models fit` and `orch run --plan`."""
