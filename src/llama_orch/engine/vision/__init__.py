# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in a conversation: checked before anything reads them, then rows of embeddings between the tokens.

An image is a run of pseudo-tokens in a prompt, negative numbers made of its digest: the search for a common prefix
compares them like tokens, so that the next turn of a chat finds its image in the cells, and another image never does.
"""

from llama_orch.engine.vision.eyes import Eyes, open_eyes
from llama_orch.engine.vision.picture import Picture, Span

__all__ = ["Eyes", "Picture", "Span", "open_eyes"]
