# SPDX-License-Identifier: GPL-3.0-or-later
"""Which projector a file holds, by its header."""

from __future__ import annotations

from pathlib import Path

from llama_orch.engine import gguf_file
from llama_orch_utils.errors import EngineFailed

_HINT = "--projector FILE, the mmproj file that came with the model, or --projector none"


def kind_of(path: Path) -> str:
    """The projector's kind in libmtmd's words (`gemma3`, `mlp`). Raises EngineFailed for a file that holds none."""
    from llama_orch.engine.embedding.gguf_facts import gguf_facts

    gguf_file.check_header(path)
    with gguf_facts(path) as facts:
        if facts is None:
            raise EngineFailed(f"the projector {path} cannot be read", hint=_HINT)
        architecture = facts.text("general.architecture")
        if architecture != "clip" and facts.text("general.type") != "mmproj":
            raise EngineFailed(f"{path} is no projector: its architecture is {architecture}", hint=_HINT)
        return facts.text("clip.vision.projector_type") or facts.text("clip.projector_type") or "unknown"
