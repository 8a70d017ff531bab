# SPDX-License-Identifier: GPL-3.0-or-later
"""Speculative decoding: somebody guesses the next tokens cheaply, the model checks them in one pass.

The answer is the model's own: each of its rows is sampled as ever, and a guess counts only where it is what was
sampled. Leviathan, Kalman, Matias: Fast Inference from Transformers via Speculative Decoding (2023) has the idea; here
the guesses are greedy, and the check is equality.
"""

from llama_orch.engine.speculation.draft import Draft
from llama_orch.engine.speculation.speculation import Speculation

__all__ = ["Draft", "Speculation"]
