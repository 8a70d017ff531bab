# SPDX-License-Identifier: GPL-3.0-or-later
"""Markdown on a terminal while it streams: finished blocks are printed once, only the last one is ever repainted.

`blocks.py` finds where a block is finished, `rendering.py` makes lines of it with rich, `draft.py` shows it before
rich is loaded, `region.py` is the part of the screen that changes, `stream.py` ties them.
"""
