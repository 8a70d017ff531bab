# SPDX-License-Identifier: GPL-3.0-or-later
"""The small benchmark on the prebuilt engine; see `engine.speed`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from llama_orch.engine.prebuilt.server import Server
from llama_orch.engine.records import EngineOptions
from llama_orch.engine.speed import LIMIT


def speed(path: Path, prompt: int, tokens: int, *, gpu: bool) -> tuple[float, float]:
    """Tokens per second of reading `prompt` tokens, and of writing `tokens`, or as many as LIMIT allows.

    SystemExit where it fails.
    """
    server = Server(path, EngineOptions(context=prompt + tokens + 8, slots=1, gpu_layers=-1 if gpu else 0))
    body = {
        "prompt": [3 + number % 256 for number in range(prompt)],
        "n_predict": tokens,
        "ignore_eos": True,
        "temperature": 0,
        "cache_prompt": False,
        "stream": True,
        "verbose": True,
    }
    at: list[float] = []
    wrong: list[str] = []

    def heard(part: dict[str, Any]) -> bool:
        said: dict[str, Any] = part.get("__verbose") or {}
        if "error" in part:
            wrong.append(str(part["error"]))
        elif said.get("tokens"):
            at.append(time.perf_counter())
        return bool(at) and at[-1] - at[0] > LIMIT

    server.complete({**body, "n_predict": 1}, lambda part: False)  # noqa: ARG005 - the first one lays out memory
    begun = time.perf_counter()
    server.complete(body, heard)
    if wrong or len(at) < min(tokens, 2):
        raise SystemExit(" ".join(wrong) or "the prebuilt engine does not compute")
    return prompt / (at[0] - begun), (len(at) - 1) / max(at[-1] - at[0], 1e-9)
