# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker: one process, one model, one engine behind the wire protocol. Started as `python -m llama_orch.worker`."""
