# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator keeps: accounts, keys, grants, prices, packs, vouchers, payments. Modules over the ledger's schema.

One implementation with two faces: the command line (`orch tap …`) and the admin API (`/admin/v1`).
"""
