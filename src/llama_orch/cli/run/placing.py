# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say where and how a local model is loaded: those of `orch run`, `chat`, `serve` and `models fit`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from llama_orch.cli.options import Common, option

if TYPE_CHECKING:
    from llama_orch_utils.config.settings import SettingValue

_CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")


@dataclass(frozen=True, kw_only=True)
class Placing(Common):
    """Devices, cache types, adapters, draft: what a worker is loaded with, beside its context and slots."""

    gpu: str | None = option(
        "--gpu", value="WHEN", choices=("auto", "require", "off"), variable="ORCH_GPU",
        help="local: auto, require (all layers on GPUs, or an error) or off",
    )  # fmt: skip
    gpus: str | None = option(
        "--gpus", value="LIST", variable="ORCH_GPUS", help="local: which GPUs, by number: 0,2 (one if the model fits)"
    )
    split: str | None = option(
        "--split", value="HOW", choices=("none", "layer", "row"), variable="ORCH_SPLIT",
        help="local: how several GPUs share the model",
    )  # fmt: skip
    tensor_split: str | None = option(
        "--tensor-split", value="LIST", variable="ORCH_TENSOR_SPLIT", help="local: the share of each GPU: 3,1"
    )
    cache_type_k: str | None = option(
        "--cache-type-k", value="TYPE", choices=_CACHE_TYPES, variable="ORCH_CACHE_TYPE_K",
        help="local: the type of the cached keys (f16)",
    )  # fmt: skip
    cache_type_v: str | None = option(
        "--cache-type-v", value="TYPE", choices=_CACHE_TYPES, variable="ORCH_CACHE_TYPE_V",
        help="local: the type of the cached values (f16)",
    )  # fmt: skip
    flash_attention: str | None = option(
        "--flash-attention", value="WHEN", choices=("auto", "on", "off"), variable="ORCH_FLASH_ATTENTION",
        help="local: whether the attention is computed in one piece (auto)",
    )  # fmt: skip
    rope_scaling: str | None = option(
        "--rope-scaling", value="HOW", choices=("none", "linear", "yarn"), help="local: how the context is extended"
    )
    rope_scale: float | None = option(
        "--rope-scale", value="FACTOR", kind=float, bounds=(0, None), help="local: by how much it is extended"
    )
    yarn_original_context: int | None = option(
        "--yarn-original-context", value="TOKENS", kind=int, bounds=(1, None),
        help="local: tokens that the model was trained on, for yarn",
    )  # fmt: skip
    loras: tuple[str, ...] = option(
        "--lora", value="FILE[=SCALE]", many=True, complete="file", help="local: a LoRA adapter, with its scale (1)"
    )
    draft: str | None = option(
        "--draft",
        value="MODEL",
        complete="model",
        help="local: a smaller model that proposes tokens: a name, or a file",
    )
    draft_tokens: int | None = option(
        "--draft-tokens", value="N", kind=int, bounds=(1, 64), help="local: tokens that it proposes at most"
    )
    projector: str | None = option(
        "--projector", value="FILE", complete="file", help="local: the GGUF that lets the model see"
    )
    engine: str | None = option(
        "--engine",
        value="NAME",
        variable="ORCH_ENGINE",
        help="local: the build of llama.cpp to run on (orch engine ls)",
    )


NAMES = tuple(each.name for each in fields(Placing) if each.name != "color")


def given(options: Placing) -> Mapping[str, SettingValue]:
    """What was given, as the configuration takes it. Raises UsageError for a file that cannot be named there."""
    found = {name: getattr(options, name) for name in NAMES}
    found["loras"] = _joined(options.loras)
    return found


def _joined(loras: tuple[str, ...]) -> str | None:
    from llama_orch.cli.failure import UsageError

    for each in loras:
        if "," in each:
            raise UsageError(f"--lora takes no path with a comma: '{each}'", hint="give the file another name")
    return ",".join(loras) or None
