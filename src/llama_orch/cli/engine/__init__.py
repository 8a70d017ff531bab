# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch engine`: the builds of llama.cpp."""
