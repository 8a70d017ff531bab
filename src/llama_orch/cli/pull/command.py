# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch pull` and `orch models pull`: a name, a hub's repository, an address or a file becomes a model of the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import Printing, argument, flag, option

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.models import Store, StoredModel
    from llama_orch.models.download import Patience
    from llama_orch.models.pull import Choice, Plan
    from llama_orch.models.source import Source


@dataclass(frozen=True, kw_only=True)
class Pull(Printing):
    """Fetch a model.

    MODEL is one of these:

      qwen3:0.6b                          a name of the catalogue (orch pull --list)
      qwen3:4b-q8_0                       the same in another quantisation
      hf://owner/repository[:QUANT]       any GGUF of the Hugging Face Hub; also @revision, also /path/of/file.gguf
      https://host/file.gguf              any file, with --sha256 if you know it
      file:///path/of/file.gguf           a copy of a file; orch models link uses it in place

    Split files and projectors (for images) come along. What an interrupted pull fetched is kept, and the next goes on
    from there. Nothing is installed before its digest was found right.

    HF_TOKEN, HF_ENDPOINT, HF_HOME and the login of hf are those of huggingface_hub.
    """

    model: str | None = argument("MODEL", help="what to fetch", required=False, complete="catalogue")
    name: str | None = option("-n", "--name", value="NAME", help="what to call it; made from MODEL if left out")
    projector: str | None = option(
        "--projector", value="FILE", help="the projector: its file in the repository, an address, or none"
    )
    sha256: str | None = option("--sha256", value="DIGEST", help="what the file at an address must be")
    allow_host: tuple[str, ...] = option(
        "--allow-host", value="HOST", help="a host that an address may send us on to", many=True
    )
    dry_run: bool = flag("--dry-run", help="tell size, licence and whether it fits; fetch nothing")
    offline: bool = flag("--offline", help="use what is on this machine; ask nobody")
    retries: int = option(
        "--retries", value="N", kind=int, default=5, bounds=(0, 100), help="attempts after one that brought nothing"
    )
    list: bool = flag("--list", help="list the catalogue")


def pull(options: Pull, out: Output) -> int | None:
    """The catalogue, the plan, or the model."""
    from llama_orch.cli.pull.listing import show_catalogue
    from llama_orch.models import Store

    if options.list:
        _check_alone(options)
        show_catalogue(out)
        return None
    if options.model is None:
        raise UsageError("orch pull needs a model", hint="orch pull --list shows the catalogue")
    store = Store()
    source, choice = _wanted(options, options.model)
    if choice.offline and (model := _here(store, source, choice)) is not None:
        _show(model, 0, out, present=True)
        return None
    return _pull(options, out, store, source, choice)


def _pull(options: Pull, out: Output, store: Store, source: Source, choice: Choice) -> int | None:
    from llama_orch.cli.pull.meter import Meter
    from llama_orch.cli.pull.plan import show_plan
    from llama_orch.models.download import Web
    from llama_orch.models.pull import Planner
    from llama_orch.models.pull import Pull as Pulling

    patience = _patience(options)
    with Web(patience.stall) as web:
        plan = Planner(store, web, patience).plan(source, choice)
        if options.dry_run:
            return show_plan(plan, store, web, out)
        _announce(plan, out)
        with Meter(plan, out) as meter:
            pulled = Pulling(store, web, patience, meter).run(plan)
    _show(pulled.model, pulled.fetched, out, present=pulled.present)
    return None


def _wanted(options: Pull, text: str) -> tuple[Source, Choice]:
    from llama_orch.models.catalogue import Catalogue
    from llama_orch.models.pull import Choice
    from llama_orch.models.source import read_source

    hosts = frozenset(host.lower() for host in options.allow_host)
    source = read_source(text, digest=options.sha256)
    _check_places(options, source)
    if source is not None:
        return source, Choice(options.name, options.projector, hosts, offline=_offline(options, source))
    entry, quantisation = Catalogue.read().find(text)
    name = options.name or (f"{entry.name}-{quantisation.lower()}" if quantisation else entry.name)
    source = entry.source(quantisation)
    choice = Choice(
        name,
        options.projector or entry.projector,
        hosts,
        offline=_offline(options, source),
        context=entry.context,
        licence=entry.licence,
    )
    return source, choice


def _check_alone(options: Pull) -> None:
    """Raises UsageError for what says nothing beside --list."""
    if options.model is not None or options.name or options.dry_run or options.sha256 or options.projector:
        raise UsageError("--list shows the catalogue and fetches nothing", hint="orch pull --list, or orch pull MODEL")


def _check_places(options: Pull, source: Source | None) -> None:
    """Raises UsageError for options that are about another kind of place; `source` None is a name of the catalogue."""
    from llama_orch.models.source import FileSource, HubSource

    if options.sha256 is not None and (source is None or isinstance(source, HubSource)):
        raise UsageError(
            "--sha256 is about an https:// or file:// address: the hub states the digests of its own files",
            hint="leave --sha256 out",
        )
    if options.allow_host and isinstance(source, FileSource):
        raise UsageError("--allow-host is about addresses of the network", hint="leave --allow-host out")


def _offline(options: Pull, source: Source) -> bool:
    """--offline; for a hub's repository also HF_HUB_OFFLINE, as huggingface_hub reads it."""
    from llama_orch.models.hub import HubSettings
    from llama_orch.models.source import HubSource

    return options.offline or (isinstance(source, HubSource) and HubSettings.read().offline)


def _here(store: Store, source: Source, choice: Choice) -> StoredModel | None:
    """The model that stands here by the name that it would get, from the same source; None if none does."""
    from llama_orch.models.source import HubSource

    name = choice.name or source.name
    if not store.knows(name):
        return None
    store.check_installable(name, f"hf://{source.repository}@" if isinstance(source, HubSource) else source.shown)
    return store.resolve(name)


def _patience(options: Pull) -> Patience:
    """The hub's users set how long a connection may be silent: HF_HUB_DOWNLOAD_TIMEOUT."""
    import os

    from llama_orch.models.download import Patience

    said = os.environ.get("HF_HUB_DOWNLOAD_TIMEOUT", "")
    stall = float(said) if said.isascii() and said.isdigit() and int(said) else Patience().stall
    return Patience(retries=options.retries, stall=stall)


def _announce(plan: Plan, out: Output) -> None:
    """What is fetched, before it is: on stderr."""
    from llama_orch.cli.output import size

    if plan.missing or plan.size is None:
        told = size(plan.size) if plan.size is not None else "an unknown size"
        out.note(f"fetching {plan.name}: {told} from {plan.source}")


def _show(model: StoredModel, fetched: int, out: Output, *, present: bool) -> None:
    from llama_orch.cli.completion.names import remember
    from llama_orch.cli.models.row import next_step
    from llama_orch.models import Store

    remember(models=[each.id for each in Store().list()])
    row = {
        "id": model.id,
        "source": model.source,
        "path": str(model.path),
        "size": model.size,
        "digest": model.digest,
        "licence": model.licence,
        "parts": len(model.parts),
        "projector": str(model.projector) if model.projector else None,
        "fetched": fetched,
        "present": present,
    }
    out.record(row, key="id")
    out.note(f"it was here already: {model.id}" if present else next_step(model))


_KEYS = {
    "id": "what -m takes",
    "source": "where it is from: repository, commit and file, or address",
    "path": "the GGUF file, or the first part of it",
    "size": "bytes of all files",
    "digest": "SHA-256 of the file in hex, or of the first part",
    "licence": "as the repository or the catalogue names it",
    "parts": "how many files its weights are in",
    "projector": "the file that lets it see; null without one",
    "fetched": "bytes that came over the network now",
    "present": "whether all of it was here before",
}
PULL = Command(
    "models pull",
    Pull,
    pull,
    (
        "orch pull --list",
        "orch pull qwen3:0.6b",
        "orch pull --dry-run hf://Qwen/Qwen3-0.6B-GGUF:Q8_0",
        "orch pull https://example.org/model.gguf --name mine",
    ),
    _KEYS,
)
