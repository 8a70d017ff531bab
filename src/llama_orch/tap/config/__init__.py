# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tap with accounts is: the folder of `orch tap`, and its `tap.toml`."""
