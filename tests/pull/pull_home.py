# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulls as the command does them, in the process of the test: quick, and with the errors as they are raised."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub

from llama_orch.models import Store
from llama_orch.models.catalogue import Catalogue
from llama_orch.models.download import Patience, Web
from llama_orch.models.download.progress import Step
from llama_orch.models.pull import Choice, Plan, Planner, Pull, Pulled
from llama_orch.models.source import read_source


class Home:
    """A store, a hub, and the steps that were told."""

    def __init__(self, folder: Path, hub: Hub, hf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from huggingface_hub import constants

        self.folder, self.hub, self.hf = folder, hub, hf
        self._monkeypatch = monkeypatch
        self.store = Store()
        self.steps: list[Step] = []
        # The module has read the environment when it was first imported, perhaps by another test.
        for name, value in {
            "ENDPOINT": hub.endpoint,
            "HF_HUB_CACHE": str(hf / "hub"),
            "HF_TOKEN_PATH": str(hf / "token"),
            "HF_HUB_OFFLINE": False,
        }.items():
            monkeypatch.setattr(constants, name, value)

    def token(self, token: str | None) -> None:
        """As HF_TOKEN."""
        if token is None:
            self._monkeypatch.delenv("HF_TOKEN", raising=False)
        else:
            self._monkeypatch.setenv("HF_TOKEN", token)

    def plan(self, text: str, *, sha256: str | None = None, **choice: Any) -> Plan:
        """What would be done."""
        with Web(1) as web:
            return self._plan(web, text, sha256, choice)

    def pull(
        self, text: str, *, sha256: str | None = None, retries: int = 2, stall: float = 1, **choice: Any
    ) -> Pulled:
        """Fetch and install, impatiently."""
        patience = Patience(retries=retries, stall=stall, pause=0.01)
        with Web(stall) as web:
            plan = self._plan(web, text, sha256, choice)
            return Pull(self.store, web, patience, self.steps.append).run(plan)

    def fetched_by_huggingface_hub(self, repository: str, file: str) -> Path:
        """The file as huggingface_hub itself fetches it, in a process of its own, into its cache."""
        code = f"from huggingface_hub import hf_hub_download as get; print(get({repository!r}, {file!r}))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.strip())

    def _plan(self, web: Web, text: str, sha256: str | None, choice: dict[str, Any]) -> Plan:
        patience = Patience(retries=2, stall=1, pause=0.01)
        source = read_source(text, digest=sha256)
        if source is None:
            entry, quantisation = Catalogue.read().find(text)
            source, choice = entry.source(quantisation), {"name": entry.name, **choice}
        return Planner(self.store, web, patience).plan(source, Choice(**choice))

    @property
    def begun(self) -> list[Path]:
        """Unfinished files."""
        return sorted(self.store.downloads.glob("*.part")) if self.store.downloads.is_dir() else []

    @property
    def troubles(self) -> list[str]:
        """What was told that went wrong and was gone on from."""
        return [str(step.message) for step in self.steps if step.kind == "trouble"]

    def assert_nothing_installed(self) -> None:
        """The store has the demo only, and no owned file."""
        assert [model.id for model in self.store.list()] == ["orch-demo"]
        assert not list((self.folder / "data" / "models").rglob("sha256-*"))


def longer(data: bytes, size: int, seed: int = 1) -> bytes:
    """A GGUF with random bytes behind it: still one to llama.cpp, and as large as a test wants."""
    return data + random.Random(seed).randbytes(size - len(data))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
