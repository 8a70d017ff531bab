# SPDX-License-Identifier: GPL-3.0-or-later
"""A split model behind the gateway: the worker loads all of it, and all of it is counted."""

import signal
from pathlib import Path

from gateway_process import start
from gguf_writing import write_split

from llama_orch.models import read_header


def test_a_split_model_is_served_and_described_whole(orch_home: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    parts = write_split(tiny_gguf, tmp_path / "split", "big")
    gateway = start(orch_home, parts[1])  # any part will do
    try:
        assert gateway.chat(max_tokens=2).json["usage"]["completion_tokens"] == 2
        shown = gateway.call("POST", "/api/show", {"model": "big"}).json
        assert shown["model_info"]["general.parameter_count"] == read_header(tiny_gguf).parameters
        models = gateway.call("GET", "/api/tags").json["models"]
        tags = next(model for model in models if model["name"] == "big:latest")
        assert tags["details"]["parameter_size"] == shown["details"]["parameter_size"] == "459.39K"
        assert tags["size"] == sum(path.stat().st_size for path in parts)
    finally:
        gateway.end(signal.SIGTERM)
