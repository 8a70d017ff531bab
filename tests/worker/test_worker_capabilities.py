# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model can: the worker that has loaded it and the gateway that has only read its header say the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from embedding_models import embedding_model
from tool_model import tool_model
from worker_process import Worker

from llama_orch.pool.fleet.facts import read

CAN = {
    "tools": ["completion", "chat", "tools", "thinking"],
    "embed": ["embedding"],
    "embed-last": ["embedding"],
    "rank": ["rerank"],
    "rank-decoder": ["rerank"],
    "rank-headless": [],
}


@pytest.mark.parametrize("name", CAN)
def test_worker_and_gateway_agree(shared_folder: Path, start_worker: Callable[..., Worker], name: str) -> None:
    model = tool_model(shared_folder) if name == "tools" else embedding_model(shared_folder, name)
    told = start_worker(model=model).call("GET", "/v1/models").json["data"][0]["capabilities"]
    assert told == CAN[name]
    assert list(read(model).capabilities) == told
