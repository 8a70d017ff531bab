# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of everything that asks a model: which one, where, how."""

from __future__ import annotations

from dataclasses import dataclass

from llama_orch.cli.options import flag, option
from llama_orch.cli.run.placing import Placing


@dataclass(frozen=True, kw_only=True)
class Reaching(Placing):
    """Which model at which target, and how its local worker is started."""

    model: str | None = option(
        "-m", "--model", value="MODEL", help="a model's name, or the path of a GGUF file", complete="model",
        variable="ORCH_MODEL",
    )  # fmt: skip
    target: str | None = option(
        "--target", value="TARGET", help="local, public, private:NAME, a named target or a URL", complete="target",
        variable="ORCH_TARGET",
    )  # fmt: skip
    context: int | None = option(
        "--context", value="TOKENS", kind=int, bounds=(1, None), help="local: tokens of context per conversation",
        variable="ORCH_CONTEXT",
    )  # fmt: skip
    slots: int | None = option(
        "--slots", value="N", kind=int, bounds=(1, None), help="local: conversations decoded at once",
        variable="ORCH_SLOTS",
    )  # fmt: skip
    threads: int | None = option(
        "--threads", value="N", kind=int, bounds=(1, None), help="local: CPU threads", variable="ORCH_THREADS"
    )
    gpu_layers: int | None = option(
        "--gpu-layers", value="N", kind=int, bounds=(-1, None), help="local: layers on the GPU, -1 for all",
        variable="ORCH_GPU_LAYERS",
    )  # fmt: skip
    max_cost: str | None = option(
        "--max-cost", value="EUR", variable="ORCH_MAX_COST",
        help="spend no more than this, such as 0.05 or '0.05 EUR': the answer ends where the money does",
    )  # fmt: skip
    keep_alive: str | None = option(
        "--keep-alive", value="TIME", help="local: how long the worker stays afterwards (90, 90s, 5m; 0: not at all)",
        variable="ORCH_KEEP_ALIVE",
    )  # fmt: skip
    quiet: bool = flag("-q", "--quiet", help="no notes on stderr; warnings and errors stay")


@dataclass(frozen=True, kw_only=True)
class Asking(Reaching):
    """How the model is asked."""

    system: str | None = option("-s", "--system", help="the system prompt: how it should answer")
    options: tuple[str, ...] = option(
        "-o", "--option", value="KEY=VALUE", many=True,
        help="temperature, top_p, top_k, min_p, seed, max_tokens, stop, ... as OpenAI and llama.cpp name them",
    )  # fmt: skip
    resume: bool = flag("-c", "--continue", help="go on with the latest conversation")
    conversation: str | None = option("--cid", value="ID", help="go on with that conversation (orch logs ls)")
    no_log: bool = flag("-n", "--no-log", help="keep this out of the conversation log", variable="ORCH_NO_LOG")
    usage: bool = flag("-u", "--usage", help="print the token counts on stderr")
    tools: tuple[str, ...] = option(
        "-T", "--tool", value="TOOL", many=True, complete="file",
        help="a Python function that the model may call: FILE.py:FUNC, MODULE:FUNC, or FILE.py for all its @tools",
    )  # fmt: skip
    yes: bool = flag("-y", "--yes", help="run tools without asking")
    max_steps: int | None = option(
        "--max-steps", value="N", kind=int, bounds=(1, 100), help="how often the model is asked at most, with tools (8)"
    )
    reasoning: str | None = option(
        "--reasoning", value="WHEN", choices=("show", "hide"), help="what the model thinks first, on stderr (show)"
    )
