# SPDX-License-Identifier: GPL-3.0-or-later
"""The key that may appear nowhere."""

CANARY = "sk-canary-7Qd2mX9vLk4TzR1w"
