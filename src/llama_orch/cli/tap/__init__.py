# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap`: the operator's side of a tap with accounts and money."""
