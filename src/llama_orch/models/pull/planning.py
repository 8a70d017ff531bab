# SPDX-License-Identifier: GPL-3.0-or-later
"""From a source to a plan: asks the hub or the server what there is, and looks what is here already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from llama_orch.models.download import Partial, Patience, RemoteFile, Way, Web
from llama_orch.models.files import weights_at
from llama_orch.models.held_file import Role
from llama_orch.models.hub import HubFile, HubSettings, Repository, Wish, select
from llama_orch.models.hub.cached import cached_file, cached_repository
from llama_orch.models.hub.quantisations import quantisation_of
from llama_orch.models.hub.refusals import explain
from llama_orch.models.hub.repository import read_repository
from llama_orch.models.names import check_name
from llama_orch.models.pull.plan import Plan, PlannedFile
from llama_orch.models.pull.probe import probe
from llama_orch.models.source import FileSource, HubSource, Source, UrlSource
from llama_orch.models.split import part_of, split_name, stem_of
from llama_orch.models.store import Store
from llama_orch.models.stored_model import DEMO_ID
from llama_orch_utils.errors import BadRequest, TargetUnreachable


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user wants beside the source.

    `name` for the model here, `projector` (the file's name in the repository, an address, or "none"), `hosts` that a
    redirect may lead to, `context` and `licence` as the catalogue has them.
    """

    name: str | None = None
    projector: str | None = None
    hosts: frozenset[str] = frozenset()
    offline: bool = False
    context: int | None = None
    licence: str | None = None


class Planner:
    """Plans pulls into `store`, over `web`."""

    def __init__(self, store: Store, web: Web, patience: Patience) -> None:
        self._store, self._web, self._patience = store, web, patience

    def plan(self, source: Source, choice: Choice) -> Plan:
        """What there is to do. Raises as the hub, the server or the file system answer; changes nothing."""
        name = check_name(choice.name or source.name)
        if name == DEMO_ID:
            raise BadRequest(
                f"{DEMO_ID} is the embedded demo's name", param="/name", hint="choose another: --name NAME"
            )
        match source:
            case HubSource():
                plan = self._of_hub(source, choice, name)
            case UrlSource():
                plan = self._of_url(source, choice, name)
            case FileSource():
                plan = self._of_file(source, choice, name)
        return replace(plan, context=choice.context, licence=plan.licence or choice.licence)

    def _of_hub(self, source: HubSource, choice: Choice, name: str) -> Plan:
        settings = HubSettings.read()
        repository = self._repository(settings, source, offline=choice.offline or settings.offline)
        wish = Wish(source.quantisation, source.file, source.pattern, choice.projector)
        chosen = select(repository, wish)
        files = [self._hub_file(settings, repository, file, "weights", n) for n, file in enumerate(chosen.weights, 1)]
        if chosen.projector is not None:
            files.append(self._hub_file(settings, repository, chosen.projector, "projector", 1))
        return Plan(
            name,
            f"hf://{repository.id}@{repository.commit}/{chosen.weights[0].path}",
            tuple(files),
            licence=repository.licence,
            gated=repository.gated,
            repository=repository.id,
            commit=repository.commit,
            quantisation=chosen.quantisation,
        )

    def _repository(self, settings: HubSettings, source: HubSource, *, offline: bool) -> Repository:
        if not offline:
            return read_repository(self._web, settings, source.repository, source.revision, patience=self._patience)
        found = cached_repository(settings, source.repository, source.revision)
        if found is None:
            raise offline_refusal(source.shown)
        return found

    def _hub_file(
        self, settings: HubSettings, repository: Repository, file: HubFile, role: Role, part: int
    ) -> PlannedFile:
        way = Way(
            settings.address(repository.id, repository.commit, file.path),
            hub=True,
            headers=settings.headers,
            explain=explain(settings, repository.id, file.path),
        )
        remote = RemoteFile(file.path, way, file.size, file.digest, file.git_digest, role=role, part=part)
        planned = self._planned(remote)
        if planned.state == "fetch" and file.digest and (path := cached_file(settings, repository, file)):
            return PlannedFile(remote, "cached", path)
        return planned

    def _of_url(self, source: UrlSource, choice: Choice, name: str) -> Plan:
        if choice.offline:
            raise offline_refusal(source.shown)
        parts = _parts_of(source.url)
        if len(parts) > 1 and source.digest:
            raise BadRequest(
                f"one digest cannot be that of {len(parts)} parts", param="/sha256", hint="leave out --sha256"
            )
        wanted: list[tuple[str, Role, int]] = [(url, "weights", number) for number, url in enumerate(parts, 1)]
        if choice.projector not in (None, "none"):
            wanted.append((_projector_address(choice.projector), "projector", 1))
        files = [self._url_file(url, role, part, source, choice) for url, role, part in wanted]
        return Plan(name, source.shown, tuple(files), quantisation=quantisation_of(unquote(urlsplit(source.url).path)))

    def _url_file(self, url: str, role: Role, part: int, source: UrlSource, choice: Choice) -> PlannedFile:
        shown = PurePosixPath(unquote(urlsplit(url).path)).name or urlsplit(url).netloc
        digest = source.digest if role == "weights" else None
        remote = RemoteFile(shown, Way(url, hosts=choice.hosts), None, digest, role=role, part=part)
        return self._planned(probe(self._web, remote, self._patience))

    def _of_file(self, source: FileSource, choice: Choice, name: str) -> Plan:
        projector = () if choice.projector in (None, "none") else (Path(str(choice.projector)).expanduser(),)
        parts = weights_at(str(source.path))
        if len(parts) > 1 and source.digest:
            raise BadRequest(
                f"one digest cannot be that of {len(parts)} parts", param="/sha256", hint="leave out --sha256"
            )
        files = [
            *(_local(path, source.digest, "weights", number) for number, path in enumerate(parts, 1)),
            *(_local(weights_at(str(path))[0], None, "projector", 1) for path in projector),
        ]
        return Plan(name, source.shown, tuple(files), quantisation=quantisation_of(source.path.name))

    def _planned(self, remote: RemoteFile) -> PlannedFile:
        """What of it is here: in the store, or begun. Looks, and takes no lock."""
        partial = Partial(self._store.downloads, remote.key)
        remote = known_digest(remote, partial)
        held = self._store.holding(remote.digest) if remote.digest else None
        if held is not None:
            return PlannedFile(replace(remote, size=remote.size or held.stat().st_size), "held", held)
        return PlannedFile(remote, "fetch", begun=partial.size)


def known_digest(remote: RemoteFile, partial: Partial) -> RemoteFile:
    """`remote` with the digest that was found when this very version was fetched before."""
    version = partial.version()
    if remote.digest or version is None or version.digest is None:
        return remote
    same = version.validator == remote.validator if remote.git_digest is None else True
    fits = version.size == remote.size and (remote.validator is not None or remote.git_digest is not None)
    return replace(remote, digest=version.digest) if same and fits else remote


def offline_refusal(what: str) -> TargetUnreachable:
    """The error for what is not here, when nothing may be fetched."""
    return TargetUnreachable(
        f"{what} is not on this machine, and nothing may be fetched (offline)",
        hint="run it again without --offline (and without HF_HUB_OFFLINE)",
    )


def _local(path: Path, digest: str | None, role: Role, part: int) -> PlannedFile:
    remote = RemoteFile(path.name, Way(path.as_uri()), path.stat().st_size, digest, role=role, part=part)
    return PlannedFile(remote, "copy", path)


def _parts_of(url: str) -> Sequence[str]:
    """The address itself, or those of all parts where its name says that it is one of several."""
    parts = urlsplit(url)
    folder, _, name = parts.path.rpartition("/")
    count = part_of(name)[1]
    if count == 1:
        return (url,)
    names = [split_name(stem_of(name), number, count) for number in range(1, count + 1)]
    return [urlunsplit(parts._replace(path=f"{folder}/{each}")) for each in names]


def _projector_address(text: str | None) -> str:
    from llama_orch.models.source import read_source

    source = read_source(text or "")
    if not isinstance(source, UrlSource):
        raise BadRequest(f"{text} is no address of a projector", param="/projector", hint="use --projector https://…")
    return source.url
