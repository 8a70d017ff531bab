# SPDX-License-Identifier: GPL-3.0-or-later
"""One model of the catalogue, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

from llama_orch.models.names import check_name
from llama_orch.models.source import HubSource, UrlSource, read_source
from llama_orch_utils.errors import BadRequest, ConfigError

_TEXTS = frozenset({"title", "by", "licence", "parameters", "repository", "url", "sha256", "file", "projector"}) | {
    "quantisation",
    "revision",
}
_KNOWN = _TEXTS | {"context", "does"}
_LONGEST = 512


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """`name` is `family:size`. A model is in a hub's `repository` or at a `url`.

    `file` is a pattern for the names of its files (shell wildcards, `{quant}`), `quantisation` the recommended one,
    `context` the tokens that it was trained for, `does` what it is good for (chat, tools, thinking, vision, code,
    embeddings), `projector` the file that lets it see, `mine` whether it is from the user's own catalogue.
    """

    name: str
    family: str
    title: str = ""
    by: str = ""
    licence: str | None = None
    parameters: str | None = None
    context: int | None = None
    does: tuple[str, ...] = ()
    repository: str | None = None
    url: str | None = None
    sha256: str | None = None
    file: str | None = None
    quantisation: str | None = None
    projector: str | None = None
    revision: str | None = None
    mine: bool = False

    def source(self, quantisation: str | None = None) -> HubSource | UrlSource:
        """Where it is; in `quantisation`, if that is not the recommended one. Raises BadRequest for an address."""
        if self.url is not None:
            if quantisation is not None:
                raise BadRequest(f"{self.name} is one file", param="/model", hint=f"orch pull {self.name}")
            found = read_source(self.url, digest=self.sha256)
        else:
            at = f"@{self.revision}" if self.revision else ""
            found = read_source(f"hf://{self.repository}{at}")
        if isinstance(found, HubSource):
            return HubSource(found.repository, found.revision, quantisation or self.quantisation, found.file, self.file)
        assert isinstance(found, UrlSource), "the catalogue was checked when it was read"
        return found


def read_family(name: str, table: Any, file: Path, *, mine: bool) -> list[CatalogueModel]:
    """The models of one `[family.NAME]` table. Raises ConfigError that names the key."""
    said = _table(table, file, f"family.{name}")
    shared = {key: value for key, value in said.items() if key != "sizes"}
    sizes = _table(said.get("sizes"), file, f"family.{name}.sizes")
    return [
        _model(name, size, {**shared, **_table(own, file, f"family.{name}.sizes.{size}")}, file, mine=mine)
        for size, own in sizes.items()
    ]


def _model(family: str, size: str, values: Mapping[str, Any], file: Path, *, mine: bool) -> CatalogueModel:
    key = f"family.{family}.sizes.{size}"
    for word, value in values.items():
        _check_value(word, value, file, f"{key}.{word}")
    if ("repository" in values) == ("url" in values):
        raise _wrong(file, key, "it needs a repository or a url, and not both")
    kept = {each.name for each in fields(CatalogueModel)}
    given: dict[str, Any] = {word: value for word, value in values.items() if word in kept}
    given["does"] = tuple(given.get("does", ()))
    try:
        model = CatalogueModel(check_name(f"{family}:{size}"), family, mine=mine, **given)
        model.source()
    except BadRequest as error:
        raise _wrong(file, key, error.message) from error
    return model


def _check_value(word: str, value: Any, file: Path, key: str) -> None:
    if word not in _KNOWN:
        raise _wrong(file, key, f"nothing is known by that word; there are {', '.join(sorted(_KNOWN))}")
    if word == "context":
        good = isinstance(value, int) and not isinstance(value, bool) and value > 0
    elif word == "does":
        good = isinstance(value, list) and all(isinstance(each, str) for each in cast("list[Any]", value))
    else:
        good = isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()
    if not good:
        raise _wrong(file, key, f"{value!r} cannot be its value"[:200])


def _table(value: Any, file: Path, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(file, key, "it has to be a table")
    return cast("dict[str, Any]", value)


def _wrong(file: Path, key: str, why: str) -> ConfigError:
    return ConfigError(f"{file}: {key}: {why}", file=str(file), key=key, hint=f"correct it, or move {file} away")
