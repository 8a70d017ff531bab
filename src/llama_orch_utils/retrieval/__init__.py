# SPDX-License-Identifier: Apache-2.0
"""Looking things up in documents by their words, and by their meaning where the target makes vectors; both merged.

from llama_orch_utils.chunking import counter, passages
from llama_orch_utils.retrieval import Index

index = Index(passages(documents, 300, counter(client)), client)
for hit in index.search("How do I cancel?", most=4):
    print(hit.passage.source, hit.passage.place, hit.by)
"""

from __future__ import annotations

from llama_orch_utils.retrieval.index import Hit, Index, Way

__all__ = ["Hit", "Index", "Way"]
