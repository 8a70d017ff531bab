# SPDX-License-Identifier: GPL-3.0-or-later
"""Which models a fleet may serve, by name: those that it was given, and what is installed."""

from __future__ import annotations

from collections.abc import Sequence

from llama_orch.models import names
from llama_orch.models.store import Store
from llama_orch.models.stored_model import StoredModel
from llama_orch_utils.errors import BadRequest, ModelNotFound

_SHOWN = 100
_TAG = ":latest"


class Catalogue:
    """`named` models first, in their order; `store` None: no other. A client's name never becomes a path."""

    def __init__(self, named: Sequence[StoredModel], store: Store | None) -> None:
        self._named = {model.id: model for model in named}
        self._store = store
        if not self._named:
            raise BadRequest("no model is named", param=None, hint="orch serve -m MODEL")
        twice = next((model.id for model in named if self._named[model.id].path != model.path), None)
        if twice is not None:
            raise BadRequest(
                f"two files would be called {twice}", hint="give one of them a name: orch models link FILE --name NAME"
            )

    @property
    def first(self) -> str:
        """The model that is meant when a request names none."""
        return next(iter(self._named))

    @property
    def named(self) -> tuple[StoredModel, ...]:
        """The models that the fleet was given."""
        return tuple(self._named.values())

    def all(self) -> list[StoredModel]:
        """Every model that can be asked for: the named ones, then what is installed and readable."""
        installed = [] if self._store is None else self._store.list()
        return [*self._named.values(), *(each for each in installed if each.id not in self._named and each.size > 0)]

    def find(self, name: str | None) -> StoredModel:
        """The model of that exact name (`x:latest` also means `x`); None the first one.

        Raises ModelNotFound with near misses, EngineFailed where an installed model's file has gone or changed.
        """
        if name is None:
            return self._named[self.first]
        for each in (name, name.removesuffix(_TAG)):
            if (found := self._exactly(each)) is not None:
                return found
        raise self._unknown(name)

    def _exactly(self, name: str) -> StoredModel | None:
        found = self._named.get(name)
        if found is not None or self._store is None:
            return found
        if any(each.id == name for each in self._store.list()):
            return self._store.resolve(name)
        return None

    def _unknown(self, name: str) -> ModelNotFound:
        known = [each.id for each in self.all()]
        near = names.not_found(name[:_SHOWN], known).near_misses
        hint = f"did you mean {near[0]}? GET /v1/models lists all" if near else "GET /v1/models lists what is served"
        return ModelNotFound(f"there is no model {name[:_SHOWN]!r} here", near_misses=near, hint=hint)
