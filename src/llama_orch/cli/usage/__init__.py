# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch usage`: what the credits went for, as a table, a picture, or JSON."""
