# SPDX-License-Identifier: Apache-2.0
"""Which target is meant, and what a project file may not do to that choice."""

from __future__ import annotations

import difflib
import os

from llama_orch_utils.config.loading import Config, TargetEntry
from llama_orch_utils.errors import ConfigError
from llama_orch_utils.targets.target import Target, base_url

# The Public Tap of this distribution; who redistributes llama-orch puts an address here.
PUBLIC_URL: str | None = None
PRIVATE = "private:"
LOCAL = "local"
PUBLIC = "public"


def choose(name: str | None, config: Config) -> Target:
    """The target `name`: `local`, `public`, `private:NAME`, a name from the configuration, or an http(s) address.

    None is the configuration's choice. Raises ConfigError for a name that nobody defined, and where a project file
    would move the user to another target or address than they chose.
    """
    if name is None:
        value = config.get("target")
        name = str(value.value)
        if value.origin.kind == "project":
            _refuse_switch(name, config)
    if name == LOCAL:
        return Target(LOCAL, model=_model(config, LOCAL))
    if name.lower().startswith(("http://", "https://")):
        url = base_url(name)
        return Target(url, url, _model(config, name))
    if name == PUBLIC:
        return _public(config)
    entry = config.targets.get(name) or config.targets.get(name.removeprefix(PRIVATE))
    if entry is None:
        raise _unknown(name, config)
    return _named(name, entry, config)


def _named(name: str, entry: TargetEntry, config: Config) -> Target:
    by_project = entry.origin.kind == "project"
    if by_project and (entry.shadowed is not None or entry.name in (LOCAL, PUBLIC)):
        raise ConfigError(
            f"{entry.origin.where} gives the target {entry.name} another address than yours",
            file=entry.origin.where,
            key=f"targets.{entry.name}.url",
            hint=f"give it another name in {entry.origin.where}",
        )
    return Target(name, base_url(entry.url), _model(config, name) or entry.model, environment_key=not by_project)


def _public(config: Config) -> Target:
    url = os.environ.get("ORCH_PUBLIC_URL")
    entry = config.targets.get(PUBLIC)
    if not url and entry is not None:
        return _named(PUBLIC, entry, config)
    url = url or PUBLIC_URL
    if not url:
        raise ConfigError(
            "this distribution names no Public Tap", key="targets.public.url", hint="orch target add public https://…"
        )
    return Target(PUBLIC, base_url(url), _model(config, PUBLIC))


def _model(config: Config, target: str) -> str | None:
    """The configured model where it is meant for this target.

    A flag's or the environment's is meant for any; a file's for the target that the configuration chose.
    """
    value = config.get("model")
    anywhere = value.origin.kind in ("flag", "environment")
    chosen = config.get("target").value == target
    return str(value.value) if value.value is not None and (anywhere or chosen) else None


def _refuse_switch(name: str, config: Config) -> None:
    own = config.user_target.value if config.user_target is not None else LOCAL
    if name in (LOCAL, own):
        return
    raise ConfigError(
        f"{config.project_file} asks for the target {name}, which you have not chosen (yours is {own})",
        file=str(config.project_file),
        key="target",
        hint=f"orch target use {name}   (or for once: --target {name})",
    )


def _unknown(name: str, config: Config) -> ConfigError:
    known = [LOCAL, PUBLIC, *config.targets]
    near = difflib.get_close_matches(name.removeprefix(PRIVATE), known, n=1)
    words = f"; did you mean {near[0]}?" if near else ""
    short = name.removeprefix(PRIVATE)
    # An address of another scheme is no name that could be added.
    hint = "orch target add NAME https://…" if "://" in name else f"orch target add {short} https://…"
    return ConfigError(f"there is no target {name}{words}", key=f"targets.{short}", hint=hint)
