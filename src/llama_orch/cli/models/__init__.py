# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch models`: what this machine has."""
