# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch target ls | add | use | rm | test`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command, Group
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import Printing, argument, option

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.cli.target.places import Place
    from llama_orch_utils.targets.description import TapDescription

_KEYS = {
    "name": "what --target takes",
    "url": "its address; null for local",
    "model": "the model to use there unless another is named",
    "default": "whether requests go there unless told otherwise",
    "origin": "where it is defined",
}
_SHOWN = 8
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*(?::[A-Za-z0-9][A-Za-z0-9._-]*)?"


@dataclass(frozen=True, kw_only=True)
class Ls(Printing):
    """List the targets, and which one is in use."""


@dataclass(frozen=True, kw_only=True)
class Add(Printing):
    """Give the address of a tap, or of any OpenAI-compatible server, a name.

    The name `public` stands for the Public Tap, `private:NAME` for a Private Tap. A tap is asked to describe itself:
    its address, models and prices come from there. A key is kept with orch auth login.
    """

    name: str = argument("NAME", help="what to call it")
    url: str = argument("URL", help="its address, such as https://tap.example/v1")
    model: str | None = option("-m", "--model", value="MODEL", help="the model to use there unless another is named")


@dataclass(frozen=True, kw_only=True)
class Use(Printing):
    """Send requests to a target from now on."""

    name: str = argument("TARGET", help="a name of orch target ls, or an address", complete="target")


@dataclass(frozen=True, kw_only=True)
class Rm(Printing):
    """Forget a target; its key stays until orch auth logout."""

    name: str = argument("TARGET", help="a name of orch target ls", complete="target")


@dataclass(frozen=True, kw_only=True)
class Test(Printing):
    """Ask a target for its models: whether it is there, and takes the key.

    Costs nothing: no token is generated. For the local target this starts its worker.
    """

    name: str | None = argument("TARGET", help="the one in use, if left out", required=False, complete="target")
    timeout: float = option(
        "--timeout", value="SECONDS", kind=float, default=15.0, bounds=(0.1, 3600), help="how long the answer may take"
    )


def ls(_options: Ls, out: Output) -> None:
    """All targets."""
    from llama_orch.cli.target.places import places

    listed = places()
    _remember(listed)
    columns = {"name": None, "default": _star, "url": None, "model": None, "origin": None}
    out.table([_row(each) for each in listed], columns, key="name", empty="")


def add(options: Add, out: Output) -> None:
    """Write the target into the user's file."""
    import re

    from llama_orch.cli.redact import looks_like_key
    from llama_orch.cli.target.places import place, places
    from llama_orch_utils import config
    from llama_orch_utils.targets.description import describe
    from llama_orch_utils.targets.target import base_url

    if looks_like_key(options.url):
        raise UsageError("a key does not belong on a command line", hint=f"orch auth login {options.name}")
    if options.name == "local" or not re.fullmatch(_NAME, options.name):
        words = "is built in" if options.name == "local" else "cannot name a target"
        raise UsageError(f"'{options.name}' {words}", hint=f"orch target add private:NAME {options.url}")
    base_url(options.url)
    tap = describe(options.url)
    config.set_value(f"targets.{options.name}.url", options.url if tap is None else tap.api)
    if tap is not None and out.mode == "human":
        _introduce(tap, out)
    if options.model:
        config.set_value(f"targets.{options.name}.model", options.model)
    _remember(places())
    _told(place(options.name), out, f"next: orch auth login {options.name}, then orch target use {options.name}")


def _introduce(tap: TapDescription, out: Output) -> None:
    """What a tap says about itself, for people."""
    out.note(f"{tap.name or 'it'} is a {tap.mode} tap" + (f"; its terms: {tap.terms}" if tap.terms else ""))
    for model in tap.models[:_SHOWN]:
        told = [f"{model.context:,} tokens of context"] if model.context else []
        if model.pricing is not None:
            told.append(model.pricing.words("million tokens"))
        out.note(f"  {model.id}" + (f": {', '.join(told)}" if told else ""))
    if len(tap.models) > _SHOWN:
        out.note(f"  and {len(tap.models) - _SHOWN} more: orch models ls --target NAME")


def use(options: Use, out: Output) -> None:
    """Make it the user's own choice; say so when another place counts before it."""
    from llama_orch.cli.target.places import address, place
    from llama_orch_utils import config

    chosen = place(options.name)
    if chosen.name != "local":
        address(chosen)
    config.set_value("target", chosen.name)
    counts = config.load().get("target")
    if counts.value != chosen.name:
        words = f"requests still go to {counts.value}: {counts.origin} counts before it"
        out.warn(words, "orch config ls --show-origin")
    _told(place(options.name), out, f"requests go to {counts.value}")


def rm(options: Rm, out: Output) -> None:
    """Take it out of the user's file; where it was in use, local is again."""
    from llama_orch.cli.target.places import place, places
    from llama_orch_utils import config
    from llama_orch_utils.errors import ConfigError

    chosen = place(options.name)
    if chosen.origin == "built in" or not config.unset_value(f"targets.{options.name}"):
        raise ConfigError(f"{options.name} is not in your config.toml ({chosen.origin})", hint="orch target ls")
    user = config.load(environ={}).user_target
    if (
        user is not None
        and user.origin.kind == "user"
        and str(user.value).removeprefix("private:") == (options.name.removeprefix("private:"))
    ):
        config.unset_value("target")
        out.note("it was in use: requests go to local again")
    _remember(places())
    _told(chosen, out, f"forgot {options.name}; its key stays until orch auth logout {chosen.url}")


def test(options: Test, out: Output) -> None:
    """One request for the list of models, timed."""
    import time

    from llama_orch.cli.target.places import CONNECT_SECONDS, address, place
    from llama_orch_utils import Client, Timeouts

    chosen = place(options.name)
    if chosen.name != "local":
        address(chosen)
    started = time.monotonic()
    with Client(chosen.name, timeouts=Timeouts(connect=CONNECT_SECONDS, total=options.timeout), retries=0) as client:
        models = [each.id for each in client.models()]
    milliseconds = round((time.monotonic() - started) * 1000)
    found = {"name": chosen.name, "url": chosen.url, "models": models, "milliseconds": milliseconds}
    if out.mode == "human":
        serves = f"{len(models)} model{'' if len(models) == 1 else 's'}"
        out.line(f"{chosen.name} answers in {milliseconds} ms and serves {serves}")
    else:
        out.record(found, key="name")


def _star(value: object) -> str:
    return "*" if value else ""


def _row(each: Place) -> dict[str, object]:
    return {name: getattr(each, name) for name in _KEYS}


def _told(chosen: Place, out: Output, note: str) -> None:
    if out.mode == "human":
        out.note(note)
    else:
        out.record(_row(chosen), key="name")


def _remember(listed: list[Place]) -> None:
    from llama_orch.cli.completion.names import remember

    remember(targets=[each.name for each in listed])


TARGET = Group(
    "target",
    "Where answers come from",
    (
        Command("target ls", Ls, ls, ("orch target ls",), _KEYS),
        Command("target add", Add, add, ("orch target add private:acme https://tap.acme.example/v1",), _KEYS),
        Command("target use", Use, use, ("orch target use public", "orch target use local"), _KEYS),
        Command("target rm", Rm, rm, ("orch target rm private:acme",), _KEYS),
        Command("target test", Test, test, ("orch target test public",),
                {"name": "the target", "url": "its address; null for local", "models": "what it serves",
                 "milliseconds": "from the request to the answer"}),
    ),
)  # fmt: skip
