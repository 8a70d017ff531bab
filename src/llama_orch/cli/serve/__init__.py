# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch serve`: this machine as a tap."""
