# SPDX-License-Identifier: Apache-2.0
"""The contract between the SDK and whatever can start a local worker.

The SDK never imports the GPL package: it looks for an entry point in the group `llama_orch.local` at run time and
calls what it finds as a `Launcher`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

ENTRY_POINT_GROUP = "llama_orch.local"

GpuUse = Literal["auto", "require", "off"]
Split = Literal["none", "layer", "row"]
FlashAttention = Literal["auto", "on", "off"]
RopeScaling = Literal["none", "linear", "yarn"]
NO_PROJECTOR = "none"
"""The projector of a worker that is to see nothing."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a local worker is started, when it has to be. `None` means: chosen from the model and the machine.

    `context` is tokens per sequence, `slots` sequences decoded at once, `keep_alive` seconds it stays after its
    last request (0: ends with the command that started it), `threads` CPU threads, `gpu_layers` layers on the GPU
    (-1: all).

    Where it computes: `gpu` auto (what fits goes on the GPU, and a GPU that cannot be used is an error), require (all
    layers, or an error) or off; `gpus` by number as `orch run --plan` counts them (empty: as many as it takes);
    `split` over several of them: none, layer or row; `tensor_split` the share of each (empty: by their free memory).

    `cache_type_k` and `cache_type_v` are ggml's names of the types that keys and values are kept in (f16 unless
    given), `flash_attention` auto, on or off. `rope_scaling` (none, linear, yarn), `rope_scale` (by how much the
    context is extended) and `yarn_original_context` (tokens that it was trained on). `loras` are adapters with their
    scales; `draft` is a smaller model, by name or path, that proposes up to `draft_tokens` tokens, `projector` the GGUF
    that lets the model see (None: the one that came with it, "none": none). `engine` is the name of a managed build
    (None: the one that is in use).
    """

    context: int | None = None
    slots: int | None = None
    threads: int | None = None
    gpu_layers: int | None = None
    keep_alive: float = 300.0
    gpu: GpuUse = "auto"
    gpus: tuple[int, ...] = ()
    split: Split | None = None
    tensor_split: tuple[float, ...] = ()
    cache_type_k: str | None = None
    cache_type_v: str | None = None
    flash_attention: FlashAttention = "auto"
    rope_scaling: RopeScaling | None = None
    rope_scale: float | None = None
    yarn_original_context: int | None = None
    loras: tuple[tuple[str, float], ...] = ()
    draft: str | None = None
    draft_tokens: int | None = None
    projector: str | None = None
    engine: str | None = None


@dataclass(frozen=True, slots=True)
class LoadEvent:
    """Something to show while a worker starts.

    `kind` is `waiting` (another command is starting it), `starting`, `loading` (`progress` 0 to 1), `warning`
    (`message`, and a `hint` with the command that mends it) or `ready`.
    """

    kind: Literal["waiting", "starting", "loading", "warning", "ready"]
    message: str = ""
    progress: float | None = None
    hint: str | None = None


LoadListener = Callable[[LoadEvent], None]


@dataclass(frozen=True, slots=True)
class LocalWorker:
    """A running worker: one model behind the wire protocol.

    Reached through the Unix socket `socket` (then `url` is `http://localhost`), or, where there is none, over
    loopback at `url`. `model` is the id that requests must name; `demo` is true for the embedded demo model;
    `log` is the path of its log.
    """

    model: str
    url: str
    socket: str | None
    pid: int
    demo: bool = False
    log: str | None = None


class Launcher(Protocol):
    """Finds the running worker for `model` (None: the user's default, else the demo) or starts one.

    Raises ModelNotFound, ConfigError (the engine is not installed: the hint says what to install), EngineFailed
    (with the last words of the worker's log), TargetTimeout. Blocks; safe to call from any thread.
    """

    def __call__(
        self, model: str | None, settings: WorkerSettings, listener: LoadListener | None = None
    ) -> LocalWorker:
        """The running worker of `model`."""
        ...
