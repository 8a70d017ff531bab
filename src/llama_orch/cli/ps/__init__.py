# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch ps` and `orch stop`: the workers that run."""
