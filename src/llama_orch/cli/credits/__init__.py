# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch credits`: the balance, its grants, and how long they last."""
