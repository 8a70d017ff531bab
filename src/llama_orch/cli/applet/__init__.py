# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch applet`: the applets that are installed, and their run.

`form.py` makes an options record of an applet's inputs, `run.py` runs it, `batch.py` for every row of a file, `mcp.py`
serves it to agents.
"""
