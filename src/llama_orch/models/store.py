# SPDX-License-Identifier: GPL-3.0-or-later
"""The store: names to files, and back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llama_orch.models import names
from llama_orch.models.blobs import Blobs
from llama_orch.models.digest import Progress
from llama_orch.models.entry import Entry
from llama_orch.models.files import check_projector, check_weights, existing, weights_at
from llama_orch.models.held_file import HeldFile
from llama_orch.models.links import Links
from llama_orch.models.standing import check_files, stored, unnamed
from llama_orch.models.stored_model import DEMO_ID, StoredModel, demo_model
from llama_orch.models.taking import check_new, check_source, taken_by, unrecorded
from llama_orch_utils.errors import BadRequest, EngineFailed

if TYPE_CHECKING:
    from llama_orch.models.details import ModelDetails
    from llama_orch.models.pruning import Pruned
    from llama_orch.models.verifying import Verified


@dataclass(frozen=True, slots=True)
class Removed:
    """What `remove` did: the model that was, and the files that were deleted."""

    model: StoredModel
    deleted: tuple[HeldFile, ...]


class Store:
    """The models of this machine: the embedded demo, files that it owns, and GGUF files used where they lie."""

    def __init__(self, data_dir: Path | None = None) -> None:
        if data_dir is None:
            from llama_orch_utils.config import paths

            data_dir = paths.data_dir()
        self.folder = data_dir / "models"
        self.links = Links(self.folder)
        self.blobs = Blobs(self.folder)

    @property
    def downloads(self) -> Path:
        """Where `orch pull` keeps what is not finished: on the store's file system. Not created here."""
        return self.folder / "partial"

    def list(self) -> list[StoredModel]:
        """Every model by name, the demo first. One of whose files one has gone has size 0."""
        return [demo_model(), *(stored(name, entry, self.blobs) for name, entry in sorted(self.links.read().items()))]

    def knows(self, name: str) -> bool:
        """Whether `name` is taken."""
        return name == DEMO_ID or name in self.links.read()

    def resolve(self, name: str | None) -> StoredModel:
        """The model that `name` means: None the demo, a path that file, else a name of the store.

        Raises ModelNotFound (with near misses), EngineFailed for a file that is gone or was changed.
        """
        if name is None or name == DEMO_ID:
            return demo_model()
        entry = self.links.read().get(name)
        if entry is not None:
            return self._checked(name, entry)
        if names.looks_like_path(name) and not names.is_address(name):
            return unnamed(weights_at(name))
        raise names.not_found(name, [model.id for model in self.list()], wanted=True)

    def show(self, name: str | None) -> ModelDetails:
        """What the model's GGUF metadata says. Raises as `resolve` and `read_header` do."""
        from llama_orch.models.details import describe

        return describe(self.resolve(name))

    def holding(self, digest: str) -> Path | None:
        """A file with that SHA-256 that need not be fetched: an owned one, or a linked one, untouched since."""
        files = [file for entry in self.links.read().values() for file in entry.files if file.digest == digest]
        for file in sorted(files, key=lambda each: not each.owned):
            if file.same():
                return file.path
        left = self.blobs.path(digest)  # an install that was ended in the middle may have left it
        return left if not any(file.owned for file in files) and left.is_file() else None

    def check_installable(self, name: str, source: str) -> None:
        """Raises BadRequest where `install` would refuse the name: it may not be, or something else has it."""
        taken = self.links.read().get(check_new(name))
        if taken is not None:
            check_source(name, taken, source)

    def install(self, name: str, files: Sequence[HeldFile], *, source: str, licence: str | None = None) -> StoredModel:
        """Makes `name` stand for `files`, all or nothing; owned ones are moved into the store.

        The digests are believed, sizes and headers are checked. The same name again is fine for the same files or the
        same source. Raises BadRequest for a name that may not be or is taken, EngineFailed for files that are no model.
        """
        check_new(name)
        ordered = sorted(files, key=lambda file: (file.role == "projector", file.part))
        check_weights([file.path for file in ordered if file.role == "weights"])
        with self.links.locked():
            links = self.links.read()
            taken = links.get(name)
            if taken is not None and taken.digests != frozenset(file.digest for file in files):
                check_source(name, taken, source)
            entry = Entry(tuple(self.blobs.held(file) for file in ordered), _now(), source, licence)
            self.blobs.arrange(entry.weights)
            links[name] = entry
            self.links.write(links)
            if taken is not None:
                self.blobs.drop(taken, links)
        return stored(name, entry, self.blobs)

    def link(
        self,
        path: Path,
        name: str | None = None,
        progress: Progress | None = None,
        *,
        projector: Path | None = None,
        source: str | None = None,
    ) -> StoredModel:
        """Makes `name` (else one made from the file's) stand for the GGUF at `path`, in place; records its digest.

        The same file under the same name again is fine; another file under a taken name is a BadRequest.
        """
        from llama_orch.models.linking import held_files

        parts = weights_at(str(path))
        check_weights(parts)
        other = existing(str(projector)).resolve() if projector is not None else None
        if other is not None:
            check_projector(other)
        name = check_new(name or names.name_from(path))
        self._check_free(name, parts, self.links.read())
        files = held_files(parts, other, self.links.read(), progress)
        with self.links.changed() as links:
            self._check_free(name, parts, links)
            before = links.get(name)
            entry = Entry(files, _now(), source or (before.source if before else None), before and before.licence)
            self.blobs.arrange(entry.weights)
            links[name] = entry
        return stored(name, entry, self.blobs)

    def remove(self, name: str) -> Removed:
        """Forgets a name; deletes what the store owns and no other name uses. What was only linked stays."""
        return self.remove_all((name,))[0]

    def remove_all(self, chosen: Sequence[str]) -> Sequence[Removed]:
        """Removes each of the names, or none where one is unknown (ModelNotFound) or the demo's (BadRequest)."""
        if DEMO_ID in chosen:
            raise BadRequest(f"{DEMO_ID} is part of the program", param="/name", hint="orch models ls shows the others")
        with self.links.locked():
            links = self.links.read()
            for name in chosen:
                if name not in links:
                    raise names.not_found(name, links)
            gone = [(stored(name, links[name], self.blobs), links.pop(name)) for name in chosen]
            self.links.write(links)  # first: a kill from here on leaves files without a name, never the reverse
            return [Removed(model, self.blobs.drop(entry, links)) for model, entry in gone]

    def verify(self, chosen: Sequence[str] = (), progress: Progress | None = None) -> list[Verified]:
        """Reads the files of the names again (none: of all) and compares digests. Raises ModelNotFound."""
        from llama_orch.models.verifying import touched, verify

        links = self.links.read()
        for name in chosen:
            if name not in links:
                raise unrecorded() if name == DEMO_ID else names.not_found(name, links)
        found = verify({name: links[name] for name in chosen or links}, progress)
        times = touched(found)
        with self.links.changed() as now:
            now.update({name: entry.touched(times) for name, entry in now.items()})
        return found

    def prune(self, *, dry_run: bool = False) -> list[Pruned]:
        """Removes unfinished downloads that nobody works on, owned files without a name, and names without a file.

        Raises ConfigError where the store cannot be changed. With `dry_run` it only tells.
        """
        from llama_orch.models.pruning import dangling, downloads, remove, unused

        with self.links.locked():
            found = list(downloads(self.downloads, delete=not dry_run))
            links = self.links.read()
            gone = dangling(links)
            for each in gone:
                del links[each.id]
            rest = unused(self.blobs, links)
            if not dry_run:
                if gone:
                    self.links.write(links)
                for each in rest:
                    remove(each.path)
        return [*found, *gone, *rest]

    def _check_free(self, name: str, parts: Sequence[Path], links: dict[str, Entry]) -> None:
        taken = links.get(name)
        if taken is not None and [file.path for file in taken.weights] != list(parts):
            raise taken_by(name, taken)

    def _checked(self, name: str, entry: Entry) -> StoredModel:
        check_files(name, entry)
        try:
            self.blobs.arrange(entry.weights)
        except OSError as error:
            raise EngineFailed(
                f"the parts of {name} cannot be laid side by side: {error.strerror}", hint="orch doctor"
            ) from error
        return stored(name, entry, self.blobs)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
