# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue as a whole: read, searched, and what it says about a name that it does not have."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from llama_orch.models.catalogue.entry import CatalogueModel, read_family
from llama_orch.models.hub.quantisations import quantisation_of
from llama_orch_utils.errors import BadRequest, ConfigError, ModelNotFound

_OURS = Path(__file__).parent / "models.toml"
_VERSION = 1
_SHOWN = 8


class Catalogue:
    """Models by name, the user's own before ours."""

    def __init__(self, models: dict[str, CatalogueModel]) -> None:
        self._models = models

    @classmethod
    def read(cls, own: Path | None = None) -> Catalogue:
        """Ours, and the user's in `own` (`catalogue.toml` of the configuration unless given).

        Raises ConfigError, with file and key, for a file that cannot be used.
        """
        if own is None:
            from llama_orch_utils.config import paths

            own = paths.config_dir() / "catalogue.toml"
        models = {model.name: model for model in _models(_OURS, mine=False)}
        if own.is_file():
            models |= {model.name: model for model in _models(own, mine=True)}
        return cls(models)

    def __iter__(self) -> Iterator[CatalogueModel]:
        return iter(sorted(self._models.values(), key=lambda model: (not model.mine, model.family)))

    def find(self, name: str) -> tuple[CatalogueModel, str | None]:
        """The model that `name` means, and the quantisation if the name ends in one (`qwen3:4b-q8_0`).

        Raises ModelNotFound with what was probably meant, or with the sizes of a family.
        """
        lower = name.lower()
        if lower in self._models:
            return self._models[lower], None
        quantisation = quantisation_of(lower.replace(":", "-"))
        if quantisation is not None:
            base = lower[: -len(quantisation) - 1]
            if base in self._models and lower.endswith(f"-{quantisation.lower()}"):
                return self._models[base], quantisation
        raise self._unknown(name)

    def _unknown(self, name: str) -> ModelNotFound:
        sizes = [model.name for model in self._models.values() if model.family == name.lower().partition(":")[0]]
        if sizes:
            return ModelNotFound(
                f"{name} is not in the catalogue; there are {', '.join(sizes[:_SHOWN])}",
                near_misses=tuple(sizes),
                hint=f"orch pull {sizes[0]}",
            )
        near = tuple(difflib.get_close_matches(name.lower(), self._models, n=3, cutoff=0.5))
        more = "orch pull --list shows the catalogue; hf://owner/repository means any GGUF of the hub"
        hint = f"did you mean {near[0]}? {more}" if near else more
        return ModelNotFound(f"{name!r} is not in the catalogue", near_misses=near, hint=hint)


def pull_hint(name: str) -> str | None:
    """`orch pull NAME` where that would fetch a model; None otherwise. For error messages: never raises."""
    from llama_orch.models.source import HubSource, read_source

    try:
        source = read_source(name)
        if source is None:
            Catalogue.read().find(name)
    except (ModelNotFound, BadRequest, ConfigError):
        return None
    return f"orch pull {name}" if source is None or isinstance(source, HubSource) else None


def _models(file: Path, *, mine: bool) -> Iterator[CatalogueModel]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: {error}", file=str(file), hint=f"correct it, or move {file} away") from error
    if document.get("version", _VERSION) != _VERSION:
        raise ConfigError(f"{file}: this program reads version {_VERSION}", file=str(file), hint="write version = 1")
    families: Any = document.get("family", {})
    for name, table in cast("dict[str, Any]", families).items() if isinstance(families, dict) else ():
        yield from read_family(name, table, file, mine=mine)
