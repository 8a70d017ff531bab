# SPDX-License-Identifier: GPL-3.0-or-later
"""From a row of logits to a token, as llama-server's sampler chain does it, for a fraction of its cost."""

from llama_orch.engine.sampling.sampler import Sampled, Sampler, make_sampler

__all__ = ["Sampled", "Sampler", "make_sampler"]
