# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of `tap.toml` that keep its comments: a new file, a model, an upstream."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from llama_orch.tap.config.reading import read
from llama_orch.tap.config.record import FILE, Mode
from llama_orch.tap.config.template import template
from llama_orch_utils.errors import ConfigError

if TYPE_CHECKING:
    from tomlkit import TOMLDocument
    from tomlkit.items import Table

    from llama_orch.tap.config.record import TapConfig, UpstreamSpec

_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700


def create(folder: Path, mode: Mode, name: str, database: str) -> Path:
    """A new `tap.toml` in `folder`, readable by its owner alone. Raises ConfigError where there is one."""
    path = folder / FILE
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE_FILE)
    except FileExistsError as error:
        hint = f"orch tap serve {folder}" if path.is_file() else f"look at {folder}"
        words = "is a tap already" if path.is_file() else "is no folder"
        raise ConfigError(f"{folder} {words}", file=str(path), hint=hint) from error
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(template(mode, name, database))
    return path


def add_local(folder: Path, model: str, local: str, *, pinned: bool = False) -> TapConfig:
    """Says that `model` runs as a worker here. Returns the tap as it is then."""

    def change(entry: Table) -> None:
        entry["local"] = local
        if pinned:
            entry["pinned"] = True

    return _changed(folder, model, change)


def add_upstream(folder: Path, model: str, spec: UpstreamSpec) -> TapConfig:
    """Adds a server to `model` (and the model where it is new). Raises ConfigError for an id that is taken."""

    def change(entry: Table) -> None:
        upstreams = cast("Table", entry.setdefault("upstreams", _table(super_=True)))
        if spec.id in upstreams:
            raise ConfigError(
                f"{model} has an upstream '{spec.id}' already",
                key=f"models.{model}.upstreams.{spec.id}",
                hint=f"orch tap upstream rm {model} {spec.id}, or give it another name with --id",
            )
        upstreams[spec.id] = _upstream(spec)

    return _changed(folder, model, change)


def remove_upstream(folder: Path, model: str, upstream: str | None) -> TapConfig:
    """Takes an upstream out, with None or the last one the whole model. Raises ConfigError where it is not there."""
    import tomlkit

    from llama_orch_utils.config.atomic import locked

    path = folder / FILE
    with locked(path):
        document = tomlkit.parse(path.read_text("utf-8"))
        models = cast("dict[str, Any]", document.setdefault("models", _table(super_=True)))
        entry = cast("dict[str, Any]", models.get(model, {}))
        if not entry or (upstream is not None and upstream not in entry.get("upstreams", {})):
            what = f"upstream '{upstream}' of {model}" if entry else f"model '{model}'"
            raise ConfigError(f"{path} has no {what}", file=str(path), hint="orch tap upstream ls")
        if upstream is not None:
            del entry["upstreams"][upstream]
        if upstream is None or (not entry["upstreams"] and "local" not in entry):
            del models[model]
        return _write(folder, document)


def _changed(folder: Path, model: str, change: Callable[[Table], None]) -> TapConfig:
    """Applies `change` to the table of `model`, made where it is missing, and writes the file if it still reads."""
    import tomlkit

    from llama_orch_utils.config.atomic import locked

    path = folder / FILE
    with locked(path):
        read(folder)  # its errors are better than tomlkit's
        document = tomlkit.parse(path.read_text("utf-8"))
        models = cast("Table", document.setdefault("models", _table(super_=True)))
        change(cast("Table", models.setdefault(model, _table())))
        return _write(folder, document)


def _write(folder: Path, document: TOMLDocument) -> TapConfig:
    """Writes what can be read, or nothing."""
    import tempfile

    import tomlkit

    from llama_orch_utils.config.atomic import write_atomically

    text = tomlkit.dumps(document)
    with tempfile.TemporaryDirectory() as trial:
        (Path(trial) / FILE).write_text(text, "utf-8")
        read(Path(trial))
    write_atomically(folder / FILE, text.encode())
    return read(folder)


def _upstream(spec: UpstreamSpec) -> Table:
    table = _table()
    table["url"] = spec.url
    if spec.key_env is not None:
        table["key_env"] = spec.key_env
    if spec.weight != 1:
        table["weight"] = spec.weight
    if spec.model is not None:
        table["model"] = spec.model
    return table


def _table(*, super_: bool = False) -> Table:
    import tomlkit

    return tomlkit.table(is_super_table=super_)
