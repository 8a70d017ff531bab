# SPDX-License-Identifier: Apache-2.0
"""A client's budget for requests that somebody else sends in its name: an applet's process, through our door."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from llama_orch_utils.client.answer import cost_of
from llama_orch_utils.client.flow import Job

if TYPE_CHECKING:
    from llama_orch_utils.client.blocking import Client
    from llama_orch_utils.client.budget import Hold


def caps(client: Client) -> bool:
    """Whether a request of this client can be one too many."""
    core = client._core  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - a part of it, in a file of its own
    return core.budget is not None and core.budget.caps and not core.target.is_local


def model_of(client: Client) -> str | None:
    """What the other side is to ask for; None: here is one model only, whatever the path that it was named by."""
    core = client._core  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as above
    return None if core.target.is_local else core.reaching[2]


def hold(client: Client, path: str, body: bytes) -> tuple[bytes, Hold | None]:
    """The body with its answer bounded by what is affordable, and what was kept for it (None: nothing need be).

    Raises BudgetExceeded where nothing is affordable, UnsupportedByTarget where the target tells no prices.
    """
    try:
        raw: object = json.loads(body)
    except ValueError:
        return body, None  # the target refuses it
    if not isinstance(raw, dict):
        return body, None
    found = cast("dict[str, Any]", raw)
    core, run = client._core, client._run  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as above
    model = found.get("model")
    job = Job("POST", path, found, str(model) if model else core.model, core.timeouts, core.retries)
    kept = run(core.afford(job))
    return (json.dumps(found, ensure_ascii=False).encode() if kept is not None else body), kept


def settle(client: Client, kept: Hold | None, cost: int | None) -> None:
    """The request is over, and cost that much; None: nobody knows, so all that was kept counts."""
    client._core.settle(kept, cost)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as above


def cost_in(answer: bytes) -> int | None:
    """The cost that an answer tells, whole or as a stream of events; None: it tells none."""
    if not answer.lstrip().startswith(b"data:") and b"\ndata:" not in answer[:4096]:
        return _cost(answer)
    told = [line[5:] for line in answer.splitlines() if line.startswith(b"data:") and b'"usage"' in line]
    return next((found for line in reversed(told) if (found := _cost(line)) is not None), None)


def _cost(text: bytes) -> int | None:
    try:
        raw: object = json.loads(text)
    except ValueError:
        return None
    return cost_of(cast("dict[str, Any]", raw).get("usage")) if isinstance(raw, dict) else None
