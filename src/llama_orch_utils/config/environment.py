# SPDX-License-Identifier: Apache-2.0
"""Every environment variable that llama-orch reads, declared once; the reference page is made from this."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable.

    `secret` values are never printed. `setting` is the configuration key that the variable overrides, if any;
    `means` is the value that its mere presence (not empty) gives to that key, instead of its own text.
    """

    name: str
    help: str
    secret: bool = False
    setting: str | None = None
    means: str | None = None


VARIABLES: tuple[Variable, ...] = (
    Variable("ORCH_HOME", "One directory for everything: `config`, `data`, `state`, `cache` and `run` inside it."),
    Variable(
        "ORCH_TARGET", "The target: `local`, `public`, `private:NAME`, a named target or a URL.", setting="target"
    ),
    Variable("ORCH_MODEL", "The model, by name or as a path to a GGUF file.", setting="model"),
    Variable(
        "ORCH_API_KEY", "The key for the target in use. Never sent to a host that a project file chose.", secret=True
    ),
    Variable("ORCH_PUBLIC_URL", "The address of the Public Tap."),
    Variable("ORCH_KEEP_ALIVE", "Seconds (or `90s`, `5m`, `1h`) that a local worker stays.", setting="keep_alive"),
    Variable("ORCH_CONTEXT", "Tokens of context per sequence of a local worker.", setting="context"),
    Variable("ORCH_SLOTS", "Sequences that a local worker decodes at once.", setting="slots"),
    Variable("ORCH_THREADS", "CPU threads of a local worker.", setting="threads"),
    Variable("ORCH_GPU_LAYERS", "Layers that a local worker puts on the GPU; -1 is all.", setting="gpu_layers"),
    Variable("ORCH_GPU", "Whether a local worker computes on GPUs: auto, require or off.", setting="gpu"),
    Variable("ORCH_GPUS", "Which GPUs a local worker takes, by number: `0,2`.", setting="gpus"),
    Variable("ORCH_SPLIT", "How several GPUs share a model: none, layer or row.", setting="split"),
    Variable("ORCH_TENSOR_SPLIT", "The share of each GPU: `3,1`.", setting="tensor_split"),
    Variable("ORCH_CACHE_TYPE_K", "ggml's type of a local worker's cached keys.", setting="cache_type_k"),
    Variable("ORCH_CACHE_TYPE_V", "ggml's type of a local worker's cached values.", setting="cache_type_v"),
    Variable("ORCH_FLASH_ATTENTION", "Flash attention in a local worker: auto, on or off.", setting="flash_attention"),
    Variable("ORCH_ENGINE", "The managed build of llama.cpp that local workers run on.", setting="engine"),
    Variable("ORCH_MAX_COST", "What one command may spend at most, such as `0.05 EUR`."),
    Variable("ORCH_NO_LOG", "Set: conversations are not logged.", setting="log", means="false"),
    Variable("ORCH_TAP_DIR", "The folder of the tap that `orch tap` is about."),
    Variable("ORCH_TAP_DATABASE", "The database of a tap, instead of the one in its `tap.toml`.", secret=True),
    Variable("ORCH_TAP_STRIPE_SECRET", "The signing secret of Stripe's webhook, for `orch tap serve`.", secret=True),
    Variable(
        "ORCH_TAP_WEBHOOK_SECRET", "What the operator's own webhook is signed with, for `orch tap serve`.", secret=True
    ),
    Variable("HF_ENDPOINT", "The hub that `orch pull` asks, as huggingface_hub reads it."),
    Variable("HF_TOKEN", "Your token at the hub; the one that `hf auth login` stored counts too.", secret=True),
    Variable("HF_HOME", "Where huggingface_hub keeps its login and its cache; cached files are used in place."),
    Variable("HF_HUB_CACHE", "The cache of huggingface_hub alone."),
    Variable("HF_HUB_OFFLINE", "Set to 1: `orch pull` uses what is there."),
    Variable("ORCH_SYSFS", "The folder that stands for /sys where GPUs are looked for: a host's, in a container."),
    Variable("ORCH_DEBUG", "Set to 1: errors print their traceback."),
    Variable("NO_COLOR", "Set: no colour anywhere.", setting="color", means="never"),
    Variable("FORCE_COLOR", "Set: colour also off a terminal. `NO_COLOR` wins.", setting="color", means="always"),
)


def variable(name: str) -> Variable:
    """The declaration of `name`; KeyError if nobody declared it."""
    for declared in VARIABLES:
        if declared.name == name:
            return declared
    raise KeyError(name)


def markdown_table() -> str:
    """The reference table of all variables, as Markdown."""
    rows = ["| variable | what it does | setting |", "|---|---|---|"]
    for item in VARIABLES:
        note = " Secret: never printed." if item.secret else ""
        setting = f"`{item.setting}`" if item.setting else ""
        rows.append(f"| `{item.name}` | {item.help}{note} | {setting} |")
    return "\n".join(rows) + "\n"
