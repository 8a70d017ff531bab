# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap upstream add | ls | rm`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command, Group
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import argument, flag, option
from llama_orch.cli.tap.opening import InTap, config_of

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.tap.config.record import TapConfig, UpstreamSpec

_LOCAL = "local"
_KEYS = {
    "model": "what clients ask for",
    "id": "the upstream; local is a worker here",
    "url": "where it is; for local: the model's name or file here",
    "key_env": "the variable that holds its key, or null",
    "weight": "its share of the requests",
    "there": "the model's name there, or null: the same",
}


@dataclass(frozen=True, kw_only=True)
class Add(InTap):
    """Say where a model runs: at a server elsewhere, or here.

    The URL is that of any OpenAI-compatible server (vLLM, llama-server, another tap), or local:NAME for a worker on
    this machine with a model of orch models ls or a GGUF file.

    A running tap takes it in with SIGHUP.
    """

    model: str = argument("MODEL", help="what clients ask for")
    url: str = argument("URL", help="the server, such as http://10.0.0.5:8000/v1; or local, local:NAME")
    key_env: str | None = option("--key-env", value="VAR", help="the environment variable that holds the server's key")
    id: str | None = option("--id", value="NAME", help="what to call it; its host, if left out")
    weight: int = option(
        "--weight", value="N", kind=int, default=1, bounds=(0, 1000), help="its share; 0: only when the others fail"
    )
    there: str | None = option("--there", value="NAME", help="the model's name there, where it is another")
    pin: bool = flag("--pin", help="for local: loaded at the start, never swapped out")


@dataclass(frozen=True, kw_only=True)
class Ls(InTap):
    """List the models and where they run."""


@dataclass(frozen=True, kw_only=True)
class Rm(InTap):
    """Take an upstream out, or a model with all of them."""

    model: str = argument("MODEL", help="as in orch tap upstream ls")
    id: str | None = argument("ID", help="the upstream; all of the model, if left out", required=False)


def add(options: Add, out: Output) -> None:
    """Write it into tap.toml."""
    from llama_orch.cli.redact import looks_like_key
    from llama_orch.tap.config import writing
    from llama_orch.tap.config.models import is_variable
    from llama_orch.tap.config.record import UpstreamSpec as Spec

    config = config_of(options)
    if options.key_env is not None and (looks_like_key(options.key_env) or not is_variable(options.key_env)):
        raise UsageError(
            "--key-env takes the name of an environment variable; a key does not belong on a command line",
            hint=f"export UPSTREAM_KEY=..., then orch tap upstream add {options.model} URL --key-env UPSTREAM_KEY",
        )
    word, _, local = options.url.partition(":")
    here = word == _LOCAL and not local.startswith("//")
    _check_place(options, here=here)
    if here:
        changed = writing.add_local(config.folder, options.model, _local(local or options.model), pinned=options.pin)
    else:
        spec = Spec(
            id=options.id or _id_of(config, options),
            url=options.url,
            key_env=options.key_env,
            weight=options.weight,
            model=options.there,
        )
        changed = writing.add_upstream(config.folder, options.model, spec)
    rows = [each for each in _rows(changed) if each["model"] == options.model]
    _tell(rows, out, f"{options.model} is served; a running tap takes it in with SIGHUP")


def _check_place(options: Add, *, here: bool) -> None:
    """Raises UsageError for what says nothing of a worker `here`, or of a server elsewhere."""
    named: dict[str, object] = {"--key-env": options.key_env, "--id": options.id, "--there": options.there}
    named["--weight"] = None if options.weight == 1 else options.weight
    if here and (idle := next((name for name, value in named.items() if value is not None), None)):
        raise UsageError(f"{idle} is about a server elsewhere, not about a worker here", hint=f"leave {idle} out")
    if options.pin and not here:
        raise UsageError("--pin is about a worker here, not about a server elsewhere", hint="leave --pin out")


def ls(options: Ls, out: Output) -> None:
    """All upstreams of all models."""
    columns = {"model": None, "id": None, "url": None, "weight": None, "key_env": None}
    out.table(_rows(config_of(options)), columns, key="model", empty="no model: orch tap upstream add MODEL URL")


def rm(options: Rm, out: Output) -> None:
    """Change tap.toml; other models stay as they are."""
    from llama_orch.tap.config import writing

    config = config_of(options)
    before = [each for each in _rows(config) if each["model"] == options.model]
    writing.remove_upstream(config.folder, options.model, options.id)
    gone = [each for each in before if options.id in {None, each["id"]}]
    _tell(gone, out, f"took out {options.model}; a running tap does with SIGHUP")


def _local(word: str) -> str:
    """A path is kept whole: tap.toml lies elsewhere. Raises ModelNotFound for a name that the store has not."""
    from pathlib import Path

    from llama_orch.models.store import Store

    store = Store()
    found = store.resolve(word)
    return word if word == found.id else str(Path(found.path).absolute())


def _id_of(config: TapConfig, options: Add) -> str:
    """The host of the address; with a number where it is taken."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(options.url)
        name = f"{parts.hostname}-{parts.port}" if parts.port else parts.hostname or "upstream"
    except ValueError:
        name = "upstream"
    model = config.model(options.model)
    taken = {each.id for each in model.upstreams} if model else set[str]()
    name = name.replace(":", "-")
    return next(each for each in (name, *(f"{name}-{n}" for n in range(2, 10_000))) if each not in taken)


def _rows(config: TapConfig) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for model in config.models:
        if model.local is not None:
            rows.append(_row(model.name, _LOCAL, model.local))
        rows += [_row(model.name, each.id, each.url, each) for each in model.upstreams]
    return rows


def _row(model: str, name: str, where: str, spec: UpstreamSpec | None = None) -> dict[str, object]:
    return {
        "model": model,
        "id": name,
        "url": where,
        "key_env": None if spec is None else spec.key_env,
        "weight": None if spec is None else spec.weight,
        "there": None if spec is None else spec.model,
    }


def _tell(rows: list[dict[str, object]], out: Output, note: str) -> None:
    if out.mode == "human":
        out.note(note)
    else:
        out.table(rows, {}, key="id", empty="")


UPSTREAM = Group(
    "tap upstream",
    "Where the models run",
    (
        Command(
            "tap upstream add",
            Add,
            add,
            (
                "orch tap upstream add gpt-oss http://10.0.0.5:8000/v1 --key-env VLLM_KEY",
                "orch tap upstream add orch-demo local:orch-demo",
            ),
            _KEYS,
        ),
        Command("tap upstream ls", Ls, ls, ("orch tap upstream ls",), _KEYS),
        Command("tap upstream rm", Rm, rm, ("orch tap upstream rm gpt-oss",), _KEYS),
    ),
)
