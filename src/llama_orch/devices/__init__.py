# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine has to compute with: CPU, GPUs, their memory, as the system and the driver state it."""
