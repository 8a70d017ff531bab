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
    Variable("ORCH_NO_LOG", "Set: conversations are not logged.", setting="log", means="false"),
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
