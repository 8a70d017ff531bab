# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch auth login | logout | status | token`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command, Group
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import Printing, argument, flag

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.cli.target.places import Place
    from llama_orch_utils.secrets import Search

_TARGET = "a name of orch target ls, or an address; the one in use, if left out"
_MOST_CHARACTERS = 4096


@dataclass(frozen=True, kw_only=True)
class Login(Printing):
    """Keep the key of a target: in the keyring, or in a file that only you can read.

    The key is asked for on the terminal, or read from stdin with `-`. It is never an argument: arguments are seen by
    every process of the machine, and stay in the shell's history. ORCH_API_KEY serves a single command.
    """

    words: tuple[str, ...] = argument(
        "TARGET", help=f"{_TARGET}; - reads the key from stdin", required=False, many=True, complete="target"
    )
    file: bool = flag("--file", help="keep it in the 0600 file, not in the keyring")


@dataclass(frozen=True, kw_only=True)
class Logout(Printing):
    """Forget the key of a target, wherever it was kept."""

    words: tuple[str, ...] = argument("TARGET", help=_TARGET, required=False, many=True, complete="target")


@dataclass(frozen=True, kw_only=True)
class Status(Printing):
    """Tell which targets have a key, and where it comes from.

    With a TARGET, the exit code is 4 when that one has none. No key is shown.
    """

    words: tuple[str, ...] = argument("TARGET", help="all, if left out", required=False, many=True, complete="target")


@dataclass(frozen=True, kw_only=True)
class Token(Printing):
    """Print the key of a target, for a program that needs it."""

    words: tuple[str, ...] = argument("TARGET", help=_TARGET, required=False, many=True, complete="target")


def login(options: Login, out: Output) -> None:
    """Take the key in and keep it; say where."""
    from llama_orch.cli.target.places import address
    from llama_orch_utils import secrets

    from_stdin = "-" in options.words
    chosen = _place(tuple(each for each in options.words if each != "-"))
    url = address(chosen)
    kept = secrets.keep(url, _key(chosen, from_stdin=from_stdin), place="file" if options.file else None)
    where = str(secrets.key_file()) if kept.place == "file" else "keyring"
    if out.mode != "human":
        out.record({"target": chosen.name, "host": kept.host, "origin": kept.place, "where": where}, key="target")
        return
    if kept.note and not options.file:
        out.note(f"{kept.note}: the key is in a file that only you can read")
    out.note(f"the key for {kept.host} is kept in {'the keyring' if kept.place == 'keyring' else where}")
    out.note(f"try it: orch target test {chosen.name}")


def logout(options: Logout, out: Output) -> None:
    """Forget the key; it is no error that there was none."""
    from llama_orch.cli.target.places import address
    from llama_orch_utils import secrets

    chosen = _place(options.words)
    url = address(chosen)
    places = secrets.forget(url)
    if out.mode != "human":
        out.record({"target": chosen.name, "host": secrets.host_of(url), "forgotten": list(places)}, key="target")
    elif places:
        out.note(f"forgot the key for {secrets.host_of(url)} ({' and '.join(places)})")
    else:
        out.note(f"no key was kept for {secrets.host_of(url)}")


def status(options: Status, out: Output) -> int:
    """Every target with an address; 4 when the named one has no key."""
    from llama_orch.cli.failure import AUTH
    from llama_orch.cli.target.places import places

    named = _place(options.words) if options.words else None
    listed = [named] if named else [each for each in places() if each.url]
    rows = [_row(each, out) for each in listed]
    columns = {"target": None, "host": None, "key": None, "origin": None, "where": None}
    out.table(rows, columns, key="target", empty="only the local target is known, and it needs no key")
    return AUTH if named and named.name != "local" and not rows[0]["key"] else 0


def token(options: Token, out: Output) -> None:
    """The key itself: this command's data."""
    from llama_orch.cli.target.places import address
    from llama_orch_utils.errors import NotAuthorised

    chosen = _place(options.words)
    address(chosen)
    found = _search(chosen)
    if found.secret is None:
        raise NotAuthorised(f"there is no key for {found.host}", hint=f"orch auth login {chosen.name}")
    out.data({"target": chosen.name, "token": found.secret.value}) if out.json else out.line(found.secret.value)


def _place(words: tuple[str, ...]) -> Place:
    """The target that the words name; what looks like a key is refused, and not repeated."""
    from llama_orch.cli.redact import looks_like_key
    from llama_orch.cli.target.places import place, places

    known = {each.name for each in places()}
    if any(each not in known and looks_like_key(each) for each in words):
        raise UsageError(
            "that looks like a key: keys are never arguments, where others read them; consider this one known",
            hint="orch auth login TARGET   (it asks for the key)",
        )
    if len(words) > 1:
        raise UsageError("one target at a time", hint="orch target ls")
    return place(words[0] if words else None)


def _key(chosen: Place, *, from_stdin: bool) -> str:
    if from_stdin:
        key = sys.stdin.read(_MOST_CHARACTERS + 1).strip()
    elif sys.stdin.isatty():
        from getpass import getpass

        key = getpass(f"key for {chosen.url}: ", stream=sys.stderr).strip()
    else:
        raise UsageError("there is no terminal to ask for the key", hint=f"orch auth login {chosen.name} - < FILE")
    if not key or len(key) > _MOST_CHARACTERS:
        what = "no key was given" if not key else f"a key has at most {_MOST_CHARACTERS} characters"
        raise UsageError(what, hint=f"orch auth login {chosen.name}")
    return key


def _search(chosen: Place) -> Search:
    """Where its key is. The environment's goes to no host that a project file chose."""
    from llama_orch_utils import secrets

    return secrets.search(chosen.url or "", environment=not chosen.origin.startswith("project"))


def _row(each: Place, out: Output) -> dict[str, object]:
    if each.url is None:
        return {"target": each.name, "host": None, "key": False, "origin": None, "where": None}
    found = _search(each)
    for note in found.notes:
        out.note(note)
    secret = found.secret
    return {
        "target": each.name,
        "host": found.host,
        "key": secret is not None,
        "origin": secret.origin if secret else None,
        "where": secret.where if secret else None,
    }


_WHERE = {"target": "its name", "host": "the host that the key belongs to", "origin": "environment, keyring or file",
          "where": "the variable, keyring or file"}  # fmt: skip
_COMMANDS = (
    Command("auth login", Login, login, ("orch auth login public", "orch auth login public - < key.txt"), _WHERE),
    Command("auth logout", Logout, logout, ("orch auth logout public",),
            {"target": "its name", "host": "the host that the key belonged to", "forgotten": "the places it was in"}),
    Command("auth status", Status, status, ("orch auth status", "orch auth status public"),
            {**_WHERE, "key": "whether there is one"}),
    Command("auth token", Token, token, ("orch auth token public",), {"target": "its name", "token": "the key"}),
)  # fmt: skip
AUTH = Group("auth", "Store, show and remove keys", _COMMANDS)
