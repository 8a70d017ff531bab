# SPDX-License-Identifier: GPL-3.0-or-later
"""The store: names to files, and back."""

from __future__ import annotations

import time
from pathlib import Path

from llama_orch.models import names
from llama_orch.models.digest import Progress, sha256_of
from llama_orch.models.gguf_header import read_header
from llama_orch.models.links import Link, Links
from llama_orch.models.quantisation import file_type_name
from llama_orch.models.stored_model import DEMO_ID, ModelDetails, StoredModel, demo_model
from llama_orch_utils.errors import BadRequest, EngineFailed, ModelNotFound


class Store:
    """The models of this machine: the embedded demo, and GGUF files used where they lie."""

    def __init__(self, data_dir: Path | None = None) -> None:
        if data_dir is None:
            from llama_orch_utils.config import paths

            data_dir = paths.data_dir()
        self._links = Links(data_dir / "models")

    def list(self) -> list[StoredModel]:
        """Every model by name, the demo first. A linked file that has gone has size 0."""
        return [demo_model(), *(_stored(name, link) for name, link in sorted(self._links.read().items()))]

    def resolve(self, name: str | None) -> StoredModel:
        """The model that `name` means: None the demo, a path that file, else a linked name.

        Raises ModelNotFound (with near misses), EngineFailed for a linked file that is gone or was changed.
        """
        if name is None or name == DEMO_ID:
            return demo_model()
        linked = self._links.read().get(name)
        if linked is not None:
            return _checked(name, linked)
        if names.looks_like_path(name):
            return _file(name)
        raise names.not_found(name, [model.id for model in self.list()])

    def show(self, name: str | None) -> ModelDetails:
        """What the model's GGUF metadata says. Raises as `resolve` and `read_header` do."""
        model = self.resolve(name)
        header = read_header(model.path)
        return ModelDetails(
            model=model,
            architecture=header.architecture,
            name=header.text("general.name"),
            parameters=header.parameters,
            quantisation=file_type_name(header.number("general.file_type")),
            context=header.number("context_length"),
            chat_template=header.text("tokenizer.chat_template") is not None,
            licence=header.text("general.license"),
            layers=header.number("block_count"),
            embedding=header.number("embedding_length"),
            vocabulary=header.lengths.get("tokenizer.ggml.tokens"),
        )

    def link(self, path: Path, name: str | None = None, progress: Progress | None = None) -> StoredModel:
        """Makes `name` (else one made from the file's) stand for the GGUF at `path`, in place; records its digest.

        The same file under the same name again is fine; another file under a taken name is a BadRequest.
        """
        source = _file(str(path))
        read_header(source.path)
        name = names.check_name(name or names.name_from(source.path))
        if name == DEMO_ID:
            raise BadRequest(
                f"{DEMO_ID} is the embedded demo's name", param="/name", hint="choose another: --name NAME"
            )
        self._check_free(name, source.path, self._links.read())
        link = Link(str(source.path), source.size, sha256_of(source.path, progress), _now())
        with self._links.changed() as links:
            self._check_free(name, source.path, links)
            links[name] = link
        return _stored(name, link)

    def remove(self, name: str) -> StoredModel:
        """Forgets a linked name. The file stays: it was only linked."""
        if name == DEMO_ID:
            raise BadRequest(f"{DEMO_ID} is part of the program", param="/name", hint="orch models ls shows the others")
        with self._links.changed() as links:
            if name not in links:
                raise names.not_found(name, links)
            return _stored(name, links.pop(name))

    def _check_free(self, name: str, path: Path, links: dict[str, Link]) -> None:
        taken = links.get(name)
        if taken is not None and taken.path != str(path):
            raise BadRequest(
                f"{name} already stands for {taken.path}",
                param="/name",
                hint=f"choose another with --name, or forget the old one: orch models rm {name}",
            )


def _stored(name: str, link: Link) -> StoredModel:
    path = Path(link.path)
    size = link.size if path.exists() else 0
    return StoredModel(name, path, size, link.digest, linked_at=link.linked_at)


def _checked(name: str, link: Link) -> StoredModel:
    path = Path(link.path)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise EngineFailed(
            f"the file of {name} cannot be reached: {path}: {error.strerror}",
            hint=f"put it back, or forget the name: orch models rm {name}",
            code="model_missing",
        ) from error
    if size != link.size:
        raise EngineFailed(
            f"the file of {name} changed since it was linked ({link.size} bytes then, {size} now): {path}",
            hint=f"link it again: orch models link {path} --name {name}",
            code="model_changed",
        )
    return StoredModel(name, path, size, link.digest, linked_at=link.linked_at)


def _file(name: str) -> StoredModel:
    try:
        path = Path(name).expanduser().resolve(strict=True)
        size = path.stat().st_size
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ModelNotFound(f"cannot use the model file {name}: {why}", hint="check the path") from error
    if not path.is_file():
        raise ModelNotFound(f"{name} is not a file", hint="give the path of a .gguf file")
    return StoredModel(names.name_from(path), path, size)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
