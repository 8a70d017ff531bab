# SPDX-License-Identifier: Apache-2.0
"""`acme-helpdesk triage …`: the command of a brand."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama_orch_utils.applets.branded import brand as brands
from llama_orch_utils.applets.branded.brand import Brand
from llama_orch_utils.applets.branded.look import failure, painted
from llama_orch_utils.errors import BadRequest, NotAuthorised, OrchError

if TYPE_CHECKING:
    from argparse import Namespace

    from llama_orch_utils import Client
    from llama_orch_utils.applets.files import Files
    from llama_orch_utils.applets.schema import Runnable

_USAGE, _FAILED, _INTERRUPTED = 2, 1, 130


def main(package: str) -> int:
    """Runs what the command line says. The exit code: 0 done, 1 failed, 2 not understood."""
    brand = brands.read(package)
    # Configuration, logs and sockets of this command are its own.
    os.environ["ORCH_HOME"] = str(brand.home)
    words = sys.argv[1:]
    try:
        return _run(brand, package, words)
    except OrchError as error:
        _say(brand, error)
        return _USAGE if isinstance(error, BadRequest) else _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _FAILED


def _run(brand: Brand, package: str, words: list[str]) -> int:
    first = words[0] if words else "--help"
    if first in {"-h", "--help", "help"}:
        _line(_page(brand))
    elif first == "--version":
        _line(f"{brand.name} {brand.version}")
    elif first == "licences":
        _line(brands.notices(package))
    elif first == "login" and len(words) > 1:
        _line(f"{brand.name} login takes the key from the terminal, or a line of standard input")
    elif first == "login":
        _login(brand)
    elif first == "mcp":
        return _mcp(brand, words[1:])
    elif first in brand.applets:
        return _applet(brand, first, words[1:])
    else:
        _say(brand, BadRequest(f"there is no {first}", hint=f"{brand.name} --help"))
        return _USAGE
    return 0


def _line(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _note(text: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"{text}\n")


def _page(brand: Brand) -> str:
    lines = [painted(brand.title, brand.accent) + f" {brand.version}"]
    lines += [brand.welcome] if brand.welcome else []
    lines += ["", painted("Commands:", brand.accent)]
    rows = [(name, brand.own(_load(name).manifest.summary)) for name in brand.applets]
    rows += [("mcp", "Serve one of them to an agent as a tool"), ("login", "Store your key")]
    rows += [("licences", "The licences of what is in here")]
    width = max(len(name) for name, _ in rows)
    lines += [f"  {painted(name.ljust(width), brand.accent)}  {words}" for name, words in rows]
    lines += ["", f"{brand.name} COMMAND --help"]
    return "\n".join([*lines, *([""] if brand.foot() else []), *brand.foot()])


def _login(brand: Brand) -> None:
    from llama_orch_utils.applets.branded import keys

    if sys.stdin.isatty():
        import getpass

        value = getpass.getpass("Key: ")
    else:
        value = sys.stdin.readline()
    _note(f"the key is in {keys.keep(brand, value)}")


def _load(name: str) -> Runnable:
    from llama_orch_utils.applets import discovery
    from llama_orch_utils.errors import AppletError

    found = discovery.load(name)
    if found is None or found.applet is None:
        raise (found.error if found is not None else None) or AppletError(f"{name} is not installed")
    return found.applet


def _mcp(brand: Brand, words: list[str]) -> int:
    """One command as a tool, until the agent goes."""
    from llama_orch_utils.applets.branded import agent, keys
    from llama_orch_utils.client.blocking import Client

    folders = [words[at + 1] for at, word in enumerate(words[:-1]) if word == agent.FOLDER]
    names = [word for at, word in enumerate(words) if word != agent.FOLDER and words[at - 1 : at] != [agent.FOLDER]]
    if len(names) != 1 or names[0] not in brand.applets:
        some = " | ".join(brand.applets)
        if names in (["--help"], ["-h"]):
            _line("\n".join([f"{brand.name} mcp {some} [{agent.FOLDER} FOLDER]", *brand.foot()]))
            return 0
        raise BadRequest("mcp serves one command", hint=f"{brand.name} mcp {some} [{agent.FOLDER} FOLDER]")
    url = os.environ.get(f"{brand.prefix}_TARGET") or brand.url
    with Client(url, key=keys.find(brand), model=brand.model) as client:
        agent.serve(brand, _load(names[0]), client, [Path(each).absolute() for each in folders])
    return 0


def _applet(brand: Brand, name: str, words: list[str]) -> int:
    from llama_orch_utils.applets.branded import keys, parser
    from llama_orch_utils.client.blocking import Client

    applet = _load(name)
    options = parser.of_applet(brand, applet).parse_args(words)
    url = os.environ.get(f"{brand.prefix}_TARGET") or brand.url
    with Client(url, key=keys.find(brand), model=brand.model, max_cost=options.max_cost) as client:
        if options.batch:
            return _batch(brand, applet, options, client)
        given = _given(applet, options, single=True)
        made = applet.invoke(given, client=client, files=_files(applet, given), brand=brand.slots())
    _line(json.dumps(made.output, ensure_ascii=False) if options.json else made.text)
    return 0


def _given(applet: Runnable, options: Namespace, *, single: bool) -> dict[str, Any]:
    from llama_orch_utils.applets.branded.parser import FIELD
    from llama_orch_utils.applets.inputs import fields_of

    values: dict[str, Any] = {}
    for each in fields_of(applet):
        value = getattr(options, FIELD + each.name)
        if each.kind == "document" and single:
            value = _document(value)
        elif each.kind == "json" and value is not None:
            try:
                value = json.loads(value)
            except ValueError as error:
                raise BadRequest(f"--{each.name.replace('_', '-')} is no JSON", param=f"/{each.name}") from error
        elif each.kind == "path" and value is not None:
            value = str(Path(value).absolute())
        if value is not None:
            values[each.name] = value
    return values


def _document(name: str | None) -> str | None:
    if name in {None, "-"}:
        return None if name is None and sys.stdin.isatty() else sys.stdin.read()
    try:
        return Path(str(name)).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"{name} is not UTF-8", hint="save it as UTF-8") from error
    except OSError as error:
        raise BadRequest(f"cannot read {name}: {error.strerror}", hint="check the path") from error


def _files(applet: Runnable, given: dict[str, Any]) -> Files:
    from llama_orch_utils.applets.files import Files
    from llama_orch_utils.applets.inputs import fields_of

    reads: list[Path] = []
    writes: list[Path] = []
    for each in fields_of(applet):
        if each.kind == "path" and each.name in given:
            (writes if each.name in applet.manifest.writes else reads).append(Path(given[each.name]))
    return Files(reads, writes)


def _batch(brand: Brand, applet: Runnable, options: Namespace, client: Client) -> int:
    from llama_orch_utils.applets.batch import Batch, run_batch

    values = _given(applet, options, single=False)
    output = Path(options.output) if options.output else None
    batch = Batch(applet, Path(options.batch), output, values, brand=brand.slots(), raw_cells=options.raw_cells)
    report = run_batch(batch, client)
    words = f"{report.done - report.failed} of {report.rows} rows done, {report.failed} failed; {report.output}"
    _note(words)
    if report.stopped is not None:
        raise report.stopped
    return _FAILED if report.failed else 0


def _say(brand: Brand, error: OrchError) -> None:
    """What happened, in the words of this command."""
    hint = error.hint or ""
    if isinstance(error, NotAuthorised):
        hint = f"{brand.name} login"
    elif "orch" in hint:
        known = any(hint.startswith(f"orch {name}") for name in brand.applets)
        hint = brand.own(hint) if known else f"ask {brand.support}" if brand.support else f"{brand.name} --help"
    _note(failure(brand, brand.own(error.message), hint))
