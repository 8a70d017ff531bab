# SPDX-License-Identifier: GPL-3.0-or-later
"""Money: accounts, grants, reservations, prices, in one SQL database. No HTTP."""
