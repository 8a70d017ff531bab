# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch config ls | get | set | unset | path | dirs`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command, Group
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import Printing, argument, flag

if TYPE_CHECKING:
    import pathlib

    from llama_orch.cli.output import Output
    from llama_orch_utils.config import Config

_SETTING = "model, target, keep_alive, ... (orch config ls shows all), or targets.NAME.url"
_KEYS = {
    "key": "the setting",
    "value": "the value that counts; null where nothing is set",
    "origin": "flag, environment, project, user or default",
    "where": "the variable or file it came from",
}


@dataclass(frozen=True, kw_only=True)
class Ls(Printing):
    """List the settings and the values that count.

    A flag counts before the environment, that before the project's orch.toml, that before your config.toml, and that
    before the default.
    """

    show_origin: bool = flag("--show-origin", help="tell where each value comes from")


@dataclass(frozen=True, kw_only=True)
class Get(Printing):
    """Print the value of one setting."""

    key: str = argument("KEY", help=_SETTING, complete="setting")


@dataclass(frozen=True, kw_only=True)
class Set(Printing):
    """Write a setting into your config.toml.

    The value is checked first, and the rest of the file stays as it is, comments included.
    """

    key: str = argument("KEY", help=_SETTING, complete="setting")
    value: str = argument("VALUE", help="the new value")
    project: bool = flag("--project", help="write into the project's orch.toml instead")


@dataclass(frozen=True, kw_only=True)
class Unset(Printing):
    """Remove a setting from your config.toml."""

    key: str = argument("KEY", help=_SETTING, complete="setting")
    project: bool = flag("--project", help="remove it from the project's orch.toml instead")


@dataclass(frozen=True, kw_only=True)
class Path(Printing):
    """Print the path of your config.toml."""


@dataclass(frozen=True, kw_only=True)
class Dirs(Printing):
    """Print the directories where everything lies."""


def ls(options: Ls, out: Output) -> None:
    """All settings, and the targets that files name."""
    from llama_orch_utils import config

    found = config.load()
    rows = [_row(found, key) for key in config.SETTINGS]
    for target in found.targets.values():
        origin = {"origin": target.origin.kind, "where": target.origin.where}
        rows.append({"key": f"targets.{target.name}.url", "value": target.url, **origin})
        if target.model:
            rows.append({"key": f"targets.{target.name}.model", "value": target.model, **origin})
    for warning in found.warnings:
        out.warn(warning)
    columns = ("key", "value", "origin", "where") if options.show_origin else ("key", "value")
    out.table(rows, dict.fromkeys(columns), key="key", empty="")


def get(options: Get, out: Output) -> None:
    """One value; nothing on stdout where nothing is set."""
    from llama_orch_utils import config

    found = config.load()
    name, _, field = options.key.removeprefix("targets.").rpartition(".")
    if options.key.startswith("targets.") and name in found.targets and field in {"url", "model"}:
        target = found.targets[name]
        origin = {"origin": target.origin.kind, "where": target.origin.where}
        row: dict[str, object] = {"key": options.key, "value": getattr(target, field), **origin}
    else:
        row = _row(found, options.key)
    if out.json:
        out.data(row)
    elif row["value"] is not None:
        from llama_orch.cli.output import written

        out.line(str(row["value"]).lower() if isinstance(row["value"], bool) else written(row["value"]))
    else:
        out.note(f"{options.key} is not set")


def set_(options: Set, out: Output) -> None:
    """Write one value, and say so when another place counts before it."""
    from llama_orch_utils import config

    _refuse_key(options)
    value = config.set_value(options.key, options.value, file=_file(project=options.project))
    if not options.key.startswith("targets."):
        _warn_shadowed(options.key, value, out)
    if options.key == "draft_tokens":
        from llama_orch.cli.run import idle

        idle.warn_of_draft(config.load(), out)
    if out.json:
        out.data({"key": options.key, "value": value, "file": str(_file(project=options.project))})


def unset(options: Unset, out: Output) -> None:
    """Remove one value."""
    from llama_orch_utils import config

    file = _file(project=options.project)
    removed = config.unset_value(options.key, file=file)
    if out.json:
        out.data({"key": options.key, "removed": removed, "file": str(file)})
    elif not removed:
        out.note(f"{options.key} is not set in {file}")


def path(_options: Path, out: Output) -> None:
    """Where the user's file lies, also when it is not there yet."""
    from llama_orch_utils import config

    file = str(config.user_file())
    out.record({"path": file}, key="path") if out.json else out.line(file)


def dirs(_options: Dirs, out: Output) -> None:
    """The five directories."""
    from llama_orch_utils.config import paths

    places = {
        "config": paths.config_dir(),
        "data": paths.data_dir(),
        "state": paths.state_dir(),
        "cache": paths.cache_dir(),
        "run": paths.runtime_dir(),
    }
    out.record({name: str(place) for name, place in places.items()}, key="config")


def _row(found: Config, key: str) -> dict[str, object]:
    value = found.get(key)
    return {"key": key, "value": value.value, "origin": value.origin.kind, "where": value.origin.where or None}


def _file(*, project: bool) -> pathlib.Path:
    import pathlib

    from llama_orch_utils import config

    if not project:
        return config.user_file()
    return config.project_file() or pathlib.Path.cwd() / "orch.toml"


def _refuse_key(options: Set) -> None:
    """A key has no place in a command line, nor in a settings file."""
    from llama_orch.cli.redact import looks_like_key

    named = options.key.rpartition(".")[2].lower() in {"key", "api_key", "apikey", "token", "secret"}
    if named or (options.key != "model" and looks_like_key(options.value)):
        raise UsageError("a key is no setting, and does not belong on a command line", hint="orch auth login")


def _warn_shadowed(key: str, value: object, out: Output) -> None:
    from llama_orch_utils import config

    counts = config.load().get(key)
    if counts.value != value:
        out.warn(f"{key} stays {counts.value}: {counts.origin} counts before it", "orch config ls --show-origin")


_WRITTEN = {"key": "the setting", "value": "as it was understood", "file": "where it was written"}
CONFIG = Group(
    "config",
    "Read and write settings",
    (
        Command("config ls", Ls, ls, ("orch config ls --show-origin",), _KEYS),
        Command("config get", Get, get, ("orch config get model",), _KEYS),
        Command("config set", Set, set_, ("orch config set keep_alive 10m",), _WRITTEN),
        Command("config unset", Unset, unset, ("orch config unset model",),
                {"key": "the setting", "removed": "whether it was there", "file": "where it was looked for"}),
        Command("config path", Path, path, ("orch config path",), {"path": "your config.toml"}),
        Command("config dirs", Dirs, dirs, ("orch config dirs",),
                {"config": "settings", "data": "models", "state": "logs", "cache": "what can be made again",
                 "run": "sockets and locks"}),
    ),
)  # fmt: skip
