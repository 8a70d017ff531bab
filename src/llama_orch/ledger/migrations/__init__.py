# SPDX-License-Identifier: GPL-3.0-or-later
"""The database's shape, step by step, forward only."""
