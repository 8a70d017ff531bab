# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds of llama.cpp as managed things: each in an environment of its own under the data directory."""
