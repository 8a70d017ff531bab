# SPDX-License-Identifier: GPL-3.0-or-later
"""llama.cpp as others have built it: xllamacpp's server, in this process, behind the engine's own interface.

It answers chat and completions for machines without a compiler. It is made for any processor, so it is slower than a
build for this one; and its server takes whole requests, so what our engine does token by token (grammars, schemas,
tools, log-probabilities, adapters, embeddings) is refused by name.

server      the C++ server: load, generate, and its own small HTTP interface for tokens
vocabulary  text to tokens and back, by that interface
wishes      what it cannot do, refused; what it can, in its words
job         one generation on its way through
engine      what the worker holds
"""

from __future__ import annotations

import importlib.util

PACKAGE = "xllamacpp"
BUILD = "orch engine build"
"""The command that makes what is refused here possible."""


def here() -> bool:
    """Whether this environment holds the prebuilt engine and not the built one; imports neither."""
    return importlib.util.find_spec("llama_cpp") is None and importlib.util.find_spec(PACKAGE) is not None
