# SPDX-License-Identifier: GPL-3.0-or-later
"""Ollama's models: manifests that name blobs by their SHA-256.

`manifests/HOST/NAMESPACE/MODEL/TAG` (in newer releases also below `manifests-v2`, as links to blobs) is JSON like a
container image's: a layer of the type `…image.model` is the GGUF, one of `…image.projector` its projector, each in the
file `blobs/sha256-HEX`. A manifest list holds one manifest for each of Ollama's runners. The folder is OLLAMA_MODELS,
else `~/.ollama/models`, for the system's service on Linux `/usr/share/ollama/.ollama/models`. Source: `manifest/` and
`envconfig/` of https://github.com/ollama/ollama.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, cast

from llama_orch.models.found.found_model import FoundModel, Gathered
from llama_orch.models.found.naming import as_name
from llama_orch.models.found.reading import start_of
from llama_orch.models.presence import is_folder, there

APP = "ollama"
_FOLDERS = ("manifests-v2", "manifests")
_HOSTS = ("registry.ollama.ai", "ollama.com")
_LIST = "application/vnd.ollama.manifest.list.v2+json"
_WEIGHTS, _PROJECTOR = "application/vnd.ollama.image.model", "application/vnd.ollama.image.projector"
_RUNNERS = ("llamacpp", "ollama", "")
_SERVICE = (Path("/usr/share/ollama/.ollama/models"), Path("/var/lib/ollama/models"))
_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")
_MOST_BYTES = 4 << 20
_MOST = 10_000
_DEPTH = 4

Document = dict[str, Any]


def gather(found: Gathered) -> None:
    """Adds Ollama's models; one that has no GGUF, or whose file is gone, with its problem."""
    for root in _roots():
        seen: set[str] = set()
        for folder in _FOLDERS:
            for manifest in _manifests(root / folder, found):
                name = _name(manifest.relative_to(root / folder).parts)
                if name not in seen:
                    seen.add(name)
                    found.models.append(_model(root, name, manifest))


def _roots() -> list[Path]:
    if chosen := os.environ.get("OLLAMA_MODELS"):
        return [Path(chosen).expanduser()]
    return [Path.home() / ".ollama" / "models", *_SERVICE]


def _manifests(folder: Path, found: Gathered) -> list[Path]:
    """The files exactly four folders down: HOST/NAMESPACE/MODEL/TAG."""
    level = [folder]
    for depth in range(_DEPTH):
        below: list[Path] = []
        for each in level:
            try:
                below += sorted(each.iterdir())[:_MOST]
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                found.cannot(APP, each, error)
        level = [each for each in below if not each.name.startswith(".") and (depth + 1 == _DEPTH or is_folder(each))]
    return level[:_MOST]


def _name(parts: tuple[str, ...]) -> str:
    host, namespace, model, tag = parts
    short = model if (host, namespace) in [(each, "library") for each in _HOSTS] else f"{namespace}/{model}"
    return f"{short if host in _HOSTS else f'{host}/{short}'}:{tag}"


def _model(root: Path, label: str, manifest: Path) -> FoundModel:
    id_ = as_name(label.rpartition("/")[2])
    try:
        layers = _layers(root, _read(manifest))
    except OSError as error:
        return FoundModel(id_, APP, label, (), None, 0, f"its manifest cannot be read: {error.strerror}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return FoundModel(id_, APP, label, (), None, 0, "its manifest is damaged")
    weights = [path for kind, path in layers if kind == _WEIGHTS]
    projector = next((path for kind, path in layers if kind == _PROJECTOR), None)
    if len(weights) != 1:
        problem = "it is in several files that only Ollama can join" if weights else "it has no GGUF file here"
        return FoundModel(id_, APP, label, tuple(weights), projector, 0, problem)
    return FoundModel(id_, APP, label, (weights[0],), projector, *_looked_at(weights[0], projector))


def _looked_at(weights: Path, projector: Path | None) -> tuple[int, str | None]:
    """Bytes of the files, and what is wrong with them."""
    try:
        size = sum(path.stat().st_size for path in (weights, projector) if path is not None)
        return size, None if start_of(weights, 4) == b"GGUF" else "its file is not a GGUF"
    except FileNotFoundError:
        return 0, "its file is gone"
    except OSError as error:
        return 0, f"its file cannot be read: {error.strerror}"


def _layers(root: Path, document: Document) -> list[tuple[str, Path]]:
    """(media type, blob) of each layer with a right digest, of the manifest for a runner that reads GGUFs."""
    if document.get("mediaType") == _LIST:
        document = _chosen(root, cast("list[Document]", document["manifests"]))
    found: list[tuple[str, Path]] = []
    for layer in cast("list[Document]", document.get("layers") or []):
        match = _DIGEST.fullmatch(layer["digest"])
        if match is None:
            raise ValueError(layer["digest"])
        found.append((str(layer["mediaType"]).partition(";")[0], _blob(root, match[1])))
    return found


def _chosen(root: Path, manifests: list[Document]) -> Document:
    for runner in _RUNNERS:
        for each in manifests:
            if str(each.get("runner") or "").lower() != runner:
                continue
            match = _DIGEST.fullmatch(str(each.get("digest") or ""))
            return _read(_blob(root, match[1])) if match and not each.get("layers") else each
    return {}


def _blob(root: Path, digest: str) -> Path:
    path = root / "blobs" / f"sha256-{digest.lower()}"
    older = root / "blobs" / f"sha256:{digest.lower()}"  # before Ollama 0.1.34
    return older if not there(path) and there(older) else path


def _read(path: Path) -> Document:
    document = json.loads(start_of(path, _MOST_BYTES))
    if not isinstance(document, dict):
        raise TypeError("a manifest is an object")
    return cast("Document", document)
