# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that would do nothing, because another one is missing or says otherwise: refused, not ignored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llama_orch.cli.failure import UsageError

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch_utils.config import Config

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """The setting `name` does nothing where `idle` holds for all settings; `why` in words, `hint` what to say then."""

    name: str
    idle: Callable[[Values], bool]
    why: str
    hint: str


def _off(values: Values) -> bool:
    return values["gpu"] == "off"


def _no_layers(values: Values) -> bool:
    return values["gpu_layers"] == 0


_GPU = ("gpus", "split", "tensor_split")
_RULES = (
    Rule("draft_tokens", lambda its: its["draft"] is None, "it is about --draft, and there is none", "--draft MODEL"),
    Rule(
        "rope_scale", lambda its: its["rope_scaling"] == "none", "--rope-scaling none extends nothing",
        "--rope-scaling yarn, or leave --rope-scale out",
    ),
    Rule(
        "yarn_original_context", lambda its: its["rope_scaling"] in ("none", "linear"), "only yarn looks at it",
        "--rope-scaling yarn, or leave --yarn-original-context out",
    ),
    Rule(
        "tensor_split", lambda its: its["split"] == "none", "--split none puts the model on one GPU",
        "--split layer, or leave --tensor-split out",
    ),
    *(Rule(name, _off, "--gpu off uses none", "leave one of the two out") for name in (*_GPU, "gpu_layers")),
    *(Rule(name, _no_layers, "--gpu-layers 0 uses none", "leave one of the two out") for name in _GPU),
)  # fmt: skip
_LOCAL = (
    "context", "slots", "threads", "gpu_layers", "gpu", "gpus", "split", "tensor_split", "cache_type_k", "cache_type_v",
    "flash_attention", "rope_scaling", "rope_scale", "yarn_original_context", "loras", "draft", "draft_tokens",
    "projector", "engine", "keep_alive",
)  # fmt: skip
"""What only a worker on this machine reads."""


def check(found: Config, *, elsewhere: str | None = None) -> None:
    """Raises UsageError for an option of the command line that does nothing.

    `elsewhere` names the target where that is not this machine. What the environment and the files say holds for other
    commands as well, and may wait for them.
    """
    values = {name: value.value for name, value in found.values.items()}
    given = [name for name, value in found.values.items() if value.origin.kind == "flag"]
    for name in given:
        if elsewhere is not None and name in _LOCAL:
            raise UsageError(
                f"{_flag(name)} is about a worker on this machine, and {elsewhere} is none",
                hint=f"leave {_flag(name)} out, or --target local",
            )
        rule = next((each for each in _RULES if each.name == name and each.idle(values)), None)
        if rule is not None and not (name == "gpu_layers" and values[name] == 0):
            raise UsageError(f"{_flag(name)} would do nothing: {rule.why}", hint=rule.hint)


def warn_of_draft(found: Config, out: Output) -> None:
    """Says that `draft_tokens` of a file or a variable waits for a draft model."""
    wish = found.get("draft_tokens")
    if wish.value is not None and found.get("draft").value is None:
        out.warn(
            f"draft_tokens ({wish.origin}) does nothing: there is no draft model",
            "orch config set draft MODEL, or --draft MODEL",
        )


def _flag(name: str) -> str:
    return "--lora" if name == "loras" else "--" + name.replace("_", "-")
