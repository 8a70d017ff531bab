# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of what `orch models fit` and `orch run --plan` say in JSON. Bytes, unless a key says otherwise."""

from __future__ import annotations

KEYS = {
    "model": "its name",
    "path": "the GGUF file",
    "architecture": "as llama.cpp names it",
    "fits": "whether everything that was asked for has room",
    "where": "the devices that it goes on",
    "layers_gpu": "layers on GPUs",
    "layers_total": "layers, the output matrix counting as one",
    "need": "what it takes, in main memory and on GPUs",
    "free": "what is free on the devices of `where`",
    "context": "tokens per conversation",
    "slots": "conversations at once",
    "most_context": "the longest context that fits there, or null where none does",
    "memory": "main memory, by use: mapped, weights, cache, compute, outputs, work, process, draft, projector",
    "devices": "for each GPU: name, number, layers, weights, cache, compute, need, free, fits",
    "split": "none, layer or row",
    "tensor_split": "the share of each GPU",
    "places": "for the CPU and each GPU alone, and all GPUs: where, fits, layers_gpu, most_context",
    "cause": "why a GPU that is there is not used, or null",
    "mend": "the command that mends that, or null",
}
