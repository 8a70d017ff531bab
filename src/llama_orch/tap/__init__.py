# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway: one HTTP door in front of the workers of many models."""
