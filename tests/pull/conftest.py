# SPDX-License-Identifier: GPL-3.0-or-later
"""A hub on loopback, and what huggingface_hub is told of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import Hub, running_hub
from pull_home import Home


@pytest.fixture(autouse=True)
def _no_hub_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token and no cache of the developer's own."""
    for name in [*os.environ]:
        if name.startswith(("HF_", "HUGGING")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running_hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server


@pytest.fixture
def home(orch_home: Path, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Pulls in this process, into a home of its own."""
    return Home(orch_home, hub, tmp_path / "hf", monkeypatch)


@pytest.fixture(scope="session")
def split_model(shared_folder: Path) -> dict[str, bytes]:
    """A repository's files: a split model of two parts, and two projectors."""
    import struct

    from gguf import GGUFWriter

    def part(number: int) -> bytes:
        path = shared_folder / f"split-{number}-{os.getpid()}.gguf"
        writer = GGUFWriter(str(path), "llama")
        if number == 1:
            writer.add_context_length(128)
        writer.add_uint16("split.no", number - 1)
        writer.add_uint16("split.count", 2)
        writer.add_int32("split.tensors.count", 0)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        return path.read_bytes() + bytes(100_000 + number)

    def projector(kind: str) -> bytes:
        def text(value: str) -> bytes:
            return struct.pack("<Q", len(value)) + value.encode()

        entry = text("general.architecture") + struct.pack("<I", 8) + text("clip")
        return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + entry + kind.encode() * 20_000

    return {
        "V-Q8_0-00001-of-00002.gguf": part(1),
        "V-Q8_0-00002-of-00002.gguf": part(2),
        "mmproj-F16.gguf": projector("F16"),
        "mmproj-BF16.gguf": projector("BF16"),
        "README.md": b"# V",
    }
