# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries a plan out: one process fetches a file, others wait for it; what is whole is installed as one."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from llama_orch.models.download import Fetch, Partial, Patience, Web
from llama_orch.models.download.progress import Step, Watch
from llama_orch.models.held_file import HeldFile
from llama_orch.models.pull.checking import check_files
from llama_orch.models.pull.plan import Plan, PlannedFile
from llama_orch.models.pull.planning import known_digest
from llama_orch.models.pull.room import check_room, written_to
from llama_orch.models.store import Store
from llama_orch.models.stored_model import StoredModel
from llama_orch_utils.errors import EngineFailed, TargetError

_POLL_SECONDS = 0.1
_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class Pulled:
    """The model as it is now, how many bytes came over the network, and whether all of it was here before."""

    model: StoredModel
    fetched: int
    present: bool


class Pull:
    """Carries plans out into `store`."""

    def __init__(self, store: Store, web: Web, patience: Patience, watch: Watch) -> None:
        self._store, self._web, self._patience, self._watch = store, web, patience, watch
        self._fetched = 0

    def run(self, plan: Plan) -> Pulled:
        """Fetches what is missing, checks all, installs.

        Raises OrchError (code `disk_full`) and as `Fetch.run` and `Store.install` do; the store is then as it was.
        """
        if (model := standing(self._store, plan)) is not None:
            return Pulled(model, 0, present=True)
        self._store.check_installable(plan.name, plan.source)
        with ExitStack() as locks, written_to(self._store.downloads):
            partials = self._take_all(plan, locks)
            files = [self._look_again(each) for each in plan.files]
            check_room(self._store.downloads, sum(each.missing for each in files))
            here = [(each, self._brought(each, partials.get(each.file.key), plan)) for each in files]
            self._check(here, partials)
            model = self._store.install(plan.name, [held for _, held in here], source=plan.source, licence=plan.licence)
            for each, _ in here:
                if (partial := partials.get(each.file.key)) is not None:
                    partial.drop(about=each.file.by_content)
        return Pulled(model, self._fetched, present=all(each.state == "held" for each in files))

    def _take_all(self, plan: Plan, locks: ExitStack) -> dict[str, Partial]:
        """The locks of all unfinished files, in one order for all processes, so that no two wait for each other."""
        partials: dict[str, Partial] = {}
        wanted = {each.file.key: each for each in plan.files if each.state in {"fetch", "copy"}}
        for key in sorted(wanted):
            partial = Partial(self._store.downloads, key)
            while not partial.take():
                file = wanted[key].file
                self._watch(Step("waiting", file.name, partial.size, file.size))
                time.sleep(_POLL_SECONDS)
            locks.callback(partial.release)
            partials[key] = partial
        return partials

    def _look_again(self, planned: PlannedFile) -> PlannedFile:
        """While this process waited for the lock, the one before may have brought the file, or a part of it."""
        if planned.state not in {"fetch", "copy"}:
            return planned
        partial = Partial(self._store.downloads, planned.file.key)
        digest = known_digest(planned.file, partial).digest
        held = self._store.holding(digest) if digest else None
        if held is None:
            return replace(planned, begun=partial.size if planned.state == "fetch" else 0)
        return PlannedFile(replace(planned.file, digest=digest), "held", held)

    def _brought(self, planned: PlannedFile, partial: Partial | None, plan: Plan) -> HeldFile:
        """The file, whole and with the right digest."""
        file = planned.file
        if planned.state == "held" and planned.path is not None and file.digest is not None:
            size = planned.path.stat().st_size
            return HeldFile(planned.path, size, file.digest, file.role, file.part)
        if planned.state == "cached" and planned.path is not None:
            return self._from_cache(planned, planned.path)
        assert partial is not None, "its lock was taken"
        if planned.state == "copy" and planned.path is not None:
            digest = self._copied(planned, planned.path, partial)
        else:
            fetch = Fetch(self._web, file, partial, patience=self._patience, watch=self._watch, source=plan.source)
            try:
                digest = fetch.run()
            finally:
                self._fetched += fetch.fetched
        return HeldFile(partial.path, partial.size, digest, file.role, file.part, owned=True)

    def _from_cache(self, planned: PlannedFile, path: Path) -> HeldFile:
        """A file of huggingface_hub's cache, used where it lies once its digest is found right."""
        file, digest, done = planned.file, hashlib.sha256(), 0
        with path.open("rb") as cached:
            while chunk := cached.read(_CHUNK):
                digest.update(chunk)
                done += len(chunk)
                self._watch(Step("checking", file.name, done, file.size))
        if digest.hexdigest() != file.digest:
            raise TargetError(
                f"{path} in the cache of huggingface_hub is not what it must be: its digest is {digest.hexdigest()}",
                code="wrong_digest",
                hint=f"delete it (rm {path}) and run this again",
            )
        return HeldFile(path, done, digest.hexdigest(), file.role, file.part, modified=path.stat().st_mtime_ns)

    def _copied(self, planned: PlannedFile, path: Path, partial: Partial) -> str:
        """The SHA-256 of a copy."""
        digest, done, file = hashlib.sha256(), 0, planned.file
        partial.drop()
        with path.open("rb") as source, partial.open() as out:
            while chunk := source.read(_CHUNK):
                rest = memoryview(chunk)
                while rest:
                    rest = rest[out.write(rest) :]
                digest.update(chunk)
                done += len(chunk)
                self._watch(Step("fetching", file.name, done, file.size))
            os.fsync(out.fileno())
        if file.digest is not None and file.digest != digest.hexdigest():
            partial.drop()
            raise TargetError(
                f"{path} is not what it must be: its digest is {digest.hexdigest()}",
                code="wrong_digest",
                hint="check --sha256",
            )
        return digest.hexdigest()

    def _check(self, files: list[tuple[PlannedFile, HeldFile]], partials: dict[str, Partial]) -> None:
        """What turns out to be no model is not kept for a next time."""
        try:
            check_files([(planned.file, held.path) for planned, held in files])
        except TargetError:
            for partial in partials.values():
                partial.drop()
            raise


def standing(store: Store, plan: Plan) -> StoredModel | None:
    """The model of that name, if it stands for exactly these files, wherever they came from."""
    if any(each.state != "held" for each in plan.files) or not store.knows(plan.name):
        return None
    try:
        model = store.resolve(plan.name)
    except EngineFailed:  # a file of it is gone or changed: installing mends that
        return None
    return model if set[str | None](file.digest for file in model.files) == plan.digests else None
