# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch completion`, and the answers to TAB."""
