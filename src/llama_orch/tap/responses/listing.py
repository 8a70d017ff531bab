# SPDX-License-Identifier: GPL-3.0-or-later
"""Items in pages, as the OpenAI API lists things."""

from __future__ import annotations

import json
from collections.abc import Sequence

from llama_orch.tap.responses.item import StoredItem
from llama_orch.tap.responses.question import Question
from llama_orch_utils.errors import BadRequest

_USUAL, _MOST = 20, 100


def page(items: Sequence[StoredItem], question: Question) -> bytes:
    """One page, as `limit`, `order` (desc unless asked) and `after` (the last id of the page before) say."""
    limit = question.integer("limit", 1, _MOST, usual=_USUAL)
    ordered = list(items) if question.text("order", ("asc", "desc")) == "asc" else list(reversed(items))
    after = question.text("after")
    start = 0
    if after is not None:
        places = [place for place, item in enumerate(ordered) if item.id == after]
        if not places:
            raise BadRequest("after is the id of no item of this response", param="/after")
        start = places[0] + 1
    shown = ordered[start : start + limit]
    about = {
        "object": "list",
        "first_id": shown[0].id if shown else None,
        "last_id": shown[-1].id if shown else None,
        "has_more": start + limit < len(ordered),
    }
    return json.dumps(about).encode()[:-1] + b', "data": [' + b", ".join(item.json for item in shown) + b"]}"
