# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch help`: commands and topics."""
