# SPDX-License-Identifier: GPL-3.0-or-later
"""Placing this worker's model: read its file, look at the devices, decide, and after loading compare and tell."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from llama_orch.devices import ggml
from llama_orch.devices.device import LlamaCpp
from llama_orch.engine import gguf_file, library, offload, trial
from llama_orch.models.estimate.shape import read_shape
from llama_orch.models.files import check_weights
from llama_orch.models.split import parts_beside
from llama_orch.worker import placement
from llama_orch.worker.options import WorkerOptions
from llama_orch_utils.errors import EngineFailed


class Placing:
    """From before the load, when `options` (fields of EngineOptions) and `warnings` are known, to `check` after it.

    Raises as `placement.decide` does, and EngineFailed for a file that is no model.
    """

    def __init__(self, wanted: WorkerOptions, cache_dir: Path, *, extra_buffers: bool) -> None:
        gguf_file.check_header(wanted.model)
        _try(wanted.model, cache_dir)  # llama.cpp's own words for a broken file, before ours for its numbers
        library.load()
        self._build: LlamaCpp = ggml.told()
        shape = read_shape(wanted.model, parts_beside(wanted.model)[1:])
        self._placed = placement.decide(wanted, shape, self._build, extra_buffers=extra_buffers)
        self.warnings = self._placed.warnings
        self.options: dict[str, Any] = self._placed.engine_options()
        self.options["token_bytes"] = placement.key_bytes(wanted, shape, self._placed)

    def check(self) -> dict[str, object]:
        """Whether the model is where it was sent; what `/health` tells of it. Raises EngineFailed where it is not."""
        taken = offload.taken(library.log().sizes)
        placement.verify(self._placed, taken, self._build)
        reckoned = self._placed.placement
        names = self._placed.devices or ("CPU",)
        memory = {name: taken.on(name) for name in dict.fromkeys((*names, "CPU"))}
        return {
            "layers_gpu": reckoned.layers if reckoned.parts else 0,
            "layers_total": reckoned.total,
            "devices": list(names if reckoned.whole else dict.fromkeys((*names, "CPU"))),
            "memory": {name: size for name, size in memory.items() if size},
            "memory_reckoned": reckoned.cpu.total + reckoned.need,
        }


def _try(model: Path, cache_dir: Path) -> None:
    """Raises EngineFailed as `trial.verify`; BadRequest for a sound file that is something else than a model."""
    try:
        trial.verify(model, cache_dir)
    except EngineFailed:
        with contextlib.suppress(EngineFailed):
            check_weights([model])
        raise
