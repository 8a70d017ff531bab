# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory a model will take, foreseen from its GGUF's metadata: nothing is loaded and llama.cpp is not asked.

`read_shape` says what the file is, `foresee` how the engine will lay it out, `estimate` what that takes, `place` where
it goes. The sources of the formulas are llama.cpp's: llama-kv-cache.cpp, llama-memory-recurrent.cpp, llama-context.cpp
(`output_reserve`, `sched_reserve`), ggml-alloc.c, ggml-cpu/repack.cpp. docs/explanation/memory.md tells how far they
were compared with what llama.cpp took.
"""

from __future__ import annotations

from llama_orch.models.estimate.layout import Layout, foresee
from llama_orch.models.estimate.memory import Memory, estimate
from llama_orch.models.estimate.shape import Layer, Shape, read_shape

__all__ = ["Layer", "Layout", "Memory", "Shape", "estimate", "foresee", "read_shape"]
