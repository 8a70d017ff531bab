# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m llama_orch.engine.speed`: how fast this engine is here, on a model with random weights.

Prints one line of JSON: `prompt`, tokens per second of reading 128; `tokens`, tokens per second of writing 48 for one,
or as many as come in three seconds: a busy machine must not make a build wait.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from llama_orch.engine.batch import Batch

PROMPT, TOKENS = 128, 48
QUICK_PROMPT, QUICK_TOKENS = 40, 4
LIMIT = 3.0


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu", action="store_true", help="all layers on the GPU")
    parser.add_argument("--quick", action="store_true", help="only whether it computes")
    options = parser.parse_args()
    if "OMP_WAIT_POLICY" not in os.environ:  # as in a worker
        os.environ.setdefault("GOMP_SPINCOUNT", "4000")
    from llama_orch.engine import library, prebuilt, smoke_model

    library.no_core_file()
    prompt, tokens = (QUICK_PROMPT, QUICK_TOKENS) if options.quick else (PROMPT, TOKENS)
    with tempfile.TemporaryDirectory(prefix="orch-speed-") as folder:
        path = Path(folder) / "speed.gguf"
        smoke_model.write(path, smoke_model.SPEED)
        found = _run(prebuilt.here())(path, prompt, tokens, gpu=options.gpu)
    sys.stdout.write(json.dumps({"prompt": round(found[0], 1), "tokens": round(found[1], 2)}) + "\n")
    sys.stdout.flush()
    os._exit(0)


def _run(prebuilt: bool) -> Callable[..., tuple[float, float]]:  # noqa: FBT001 - one question
    if not prebuilt:
        return _speed
    from llama_orch.engine.prebuilt.speed import speed

    return speed


def _speed(path: Path, prompt: int, tokens: int, *, gpu: bool) -> tuple[float, float]:
    """Tokens per second of a prompt of so many tokens, and of so many written, or as many as LIMIT allows."""
    import numpy as np

    from llama_orch.engine import smoke
    from llama_orch.engine.batch import Batch
    from llama_orch.engine.context import Context, plan
    from llama_orch.engine.model import Model
    from llama_orch.engine.records import EngineOptions
    from llama_orch_utils.config import paths

    options = EngineOptions(
        context=prompt + tokens,
        slots=1,
        unified=True,
        gpu_layers=-1 if gpu else 0,
        extra_buffers=smoke.verdict(paths.cache_dir()).extra_buffers,
    )
    model = Model.load(path, options)
    context = Context(model, plan(model.card, options))
    batch = Batch(context)
    _compute(batch, np.zeros(1, np.int32), 0)  # the first one lays out memory
    context.lib.llama_memory_clear(context.memory, True)
    ids = np.arange(prompt, dtype=np.int32) % model.card.vocabulary
    begun = time.perf_counter()
    _compute(batch, ids, 0)
    read = time.perf_counter()
    written = 0
    while written < tokens and time.perf_counter() - read < LIMIT:
        _compute(batch, ids[:1], prompt + written)
        written += 1
    return prompt / (read - begun), written / (time.perf_counter() - read)


def _compute(batch: Batch, tokens: NDArray[np.int32], position: int) -> None:
    """One llama_decode; ends the process where it fails."""
    batch.clear()
    batch.add_prefill(tokens, position, 0, sampled=True)
    if batch.decode() != 0:
        raise SystemExit("llama_decode failed")
    batch.logits()


if __name__ == "__main__":
    _main()
