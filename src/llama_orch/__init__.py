# SPDX-License-Identifier: GPL-3.0-or-later
"""The tap and the `orch` command: engine, worker, pool, model store and command line."""

__version__ = "0.1.0"
