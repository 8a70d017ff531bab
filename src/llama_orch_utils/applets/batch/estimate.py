# SPDX-License-Identifier: Apache-2.0
"""What a batch may cost, before anything is asked: reckoned from its rows, the prompts and the target's prices."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llama_orch_utils.errors import BadRequest

if TYPE_CHECKING:
    from llama_orch_utils.applets.batch.running import Batch
    from llama_orch_utils.client.blocking import Client

_BYTES_PER_TOKEN = 3.5
_ANSWER_TOKENS = 60
_TOKENS_PER_FIELD = 30


@dataclass(frozen=True, slots=True)
class Estimate:
    """`rows` of which `broken` cannot be run; tokens of all prompts and all answers, about.

    `cost` is micro-euros (None: the target tells no prices), `most` what the manifest lets it cost (None: no limit).
    """

    rows: int
    broken: int
    input_tokens: int
    output_tokens: int
    cost: int | None
    most: int | None


def estimate(batch: Batch, client: Client) -> Estimate:
    """Reads all rows and the target's prices, and asks no model. Raises BadRequest as `Batch.rows`."""
    wording = _wording(batch.applet)
    answer = _ANSWER_TOKENS + _TOKENS_PER_FIELD * len(batch.applet.schema()["output"].get("properties", {}))
    rows = broken = tokens = 0
    for row in batch.rows():
        rows += 1
        if row.error is not None or not _fits(batch.applet, row.values):
            broken += 1
            continue
        said = len(json.dumps(dict(row.values), ensure_ascii=False, default=str).encode())
        tokens += int((said + wording) / _BYTES_PER_TOKEN)
    most = batch.applet.manifest.most_cost
    good = rows - broken
    model = client.described()
    cost = None
    if model is not None and model.pricing is not None:
        cost = model.pricing.cost(tokens, good * answer)
    return Estimate(rows, broken, tokens, good * answer, cost, None if most is None else most * good)


def _wording(applet: Any) -> int:
    """Bytes of the longest prompt, where they can be seen."""
    prompts = getattr(applet, "prompts", None)
    return max((len(prompts[name].text.encode()) for name in prompts.names), default=0) if prompts is not None else 0


def _fits(applet: Any, values: Any) -> bool:
    read = getattr(applet, "read", None)
    if read is None:
        return True
    try:
        read(values)
    except BadRequest:
        return False
    return True
