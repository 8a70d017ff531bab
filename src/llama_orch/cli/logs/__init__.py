# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch logs`: the conversation log."""
