# SPDX-License-Identifier: GPL-3.0-or-later
"""Embeddings and rank scores: texts in, vectors out, by a model whose GGUF states how it pools.

embedder    the thread, its inbox, the public calls
job         requests on their way through, and who comes next
pooled      the llama_context: rows in, one vector per text out
texts       tokens, checked before C sees them
frame       the tokens around a text, and between a query and a document
dimensions  how large the context is, checked against the machine's memory
card        pooling, rank head, Matryoshka, as the GGUF (gguf_facts) and the model's card (matryoshka) state them
vectors     normalised, shortened, as a probability
"""

from llama_orch.engine.embedding.card import read_card, wanted
from llama_orch.engine.embedding.embedder import Embedder

__all__ = ["Embedder", "read_card", "wanted"]
