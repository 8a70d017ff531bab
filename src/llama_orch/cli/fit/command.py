# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch models fit`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.fit.keys import KEYS
from llama_orch.cli.options import Printing, argument, option
from llama_orch.cli.run.placing import Placing

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.models.stored_model import StoredModel


@dataclass(frozen=True, kw_only=True)
class Fit(Printing, Placing):
    """Tell which models fit on this machine, where, and with how much context.

    Reckoned from the files' metadata and from what is free now; nothing is loaded. Without a name: every model that is
    installed. The options are those of orch run, so that `--cache-type-k q8_0` or `--gpus 0` can be tried here.
    """

    models: tuple[str, ...] = argument(
        "MODEL", help="names of models, or paths of GGUF files", required=False, many=True, complete="model"
    )
    context: int | None = option(
        "--context", value="TOKENS", kind=int, bounds=(1, None), help="tokens of context per conversation",
        variable="ORCH_CONTEXT",
    )  # fmt: skip
    slots: int | None = option(
        "--slots", value="N", kind=int, bounds=(1, 256), help="conversations decoded at once", variable="ORCH_SLOTS"
    )
    threads: int | None = option(
        "--threads", value="N", kind=int, bounds=(1, None), help="CPU threads", variable="ORCH_THREADS"
    )
    gpu_layers: int | None = option(
        "--gpu-layers", value="N", kind=int, bounds=(-1, None), help="layers on the GPU, -1 for all",
        variable="ORCH_GPU_LAYERS",
    )  # fmt: skip


def fit(options: Fit, out: Output) -> None:
    """A row for each model; what cannot be read is told and left out, where nobody named it."""
    from llama_orch.cli.fit import reckoning
    from llama_orch.cli.output import size
    from llama_orch_utils.errors import OrchError

    settings = reckoning.settings(options)
    machine = reckoning.look(settings, out)
    rows: list[dict[str, object]] = []
    for model in _models(options.models):
        try:
            rows.append(reckoning.reckon(model, settings, machine))
        except OrchError as error:
            if options.models:
                raise
            out.warn(f"{model.id}: {error.message}", error.hint)
    columns = {
        "model": None, "fits": None, "where": None, "layers_gpu": None, "layers_total": None, "need": size,
        "free": size, "context": None, "slots": None, "most_context": None,
    }  # fmt: skip
    out.table(rows, columns, key="model", empty="no models")
    if machine.idle is not None:
        out.warn(machine.idle.cause, machine.idle.mend)


def _models(names: tuple[str, ...]) -> list[StoredModel]:
    from llama_orch.models.store import Store

    store = Store()
    return [store.resolve(name) for name in names] if names else [each for each in store.list() if each.size]


FIT = Command(
    "models fit",
    Fit,
    fit,
    (
        "orch models fit",
        "orch models fit qwen3:0.6b --context 32768 --cache-type-k q8_0 --cache-type-v q8_0",
        "orch models fit --json",
    ),
    KEYS,
)
