# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded demo model: data, training, export and score."""
