# SPDX-License-Identifier: GPL-3.0-or-later
"""The local models of tap.toml as a store: under the names that clients use, and nothing else that is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llama_orch.models import names
from llama_orch.models.store import Store
from llama_orch.models.stored_model import StoredModel
from llama_orch.tap.config.record import TapModel
from llama_orch_utils.errors import OrchError


class Shop(Store):
    """A fleet reads it whenever it looks for a name; `update` is what a reload changes."""

    def __init__(self, models: Sequence[TapModel]) -> None:
        super().__init__()
        self._shown: dict[str, TapModel] = {}
        self.update(models)

    def update(self, models: Sequence[TapModel]) -> None:
        """Other models from now on."""
        self._shown = {model.name: model for model in models if model.local is not None}

    def list(self) -> list[StoredModel]:
        """Those that can be found now."""
        found: list[StoredModel] = []
        for name in self._shown:
            try:
                found.append(self.resolve(name))
            except OrchError:  # whoever asks for it is told
                continue
        return found

    def resolve(self, name: str | None) -> StoredModel:
        """The model of that name. Raises as the store does for what it stands for."""
        shown = self._shown.get(name or "")
        if shown is None:
            raise names.not_found(name or "", list(self._shown))
        return replace(super().resolve(shown.local), id=shown.name)
