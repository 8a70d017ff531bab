# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch target`: where answers come from."""
