# SPDX-License-Identifier: GPL-3.0-or-later
"""One model of the store as a row of JSON, and what TAB remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from llama_orch.models import Store, StoredModel

KEYS = {
    "id": "what -m takes",
    "path": "the GGUF file, or the first part of a split one",
    "size": "bytes of all files",
    "digest": "SHA-256 of path in hex, as it was linked or downloaded",
    "demo": "whether it is the embedded demo",
    "linked_at": "when it came here: ISO 8601, UTC",
    "present": "whether all its files are there",
    "parts": "the files of the weights in order",
    "projector": "the file that turns pictures into embeddings",
    "source": "where it came from",
    "owned": "whether orch rm deletes files",
}


def row(model: StoredModel) -> dict[str, object]:
    """The keys of `KEYS`."""
    from llama_orch.models.presence import there

    files = [*model.parts, *([model.projector] if model.projector else [])]
    return {
        "id": model.id,
        "path": str(model.path),
        "size": model.size,
        "digest": model.digest,
        "demo": model.demo,
        "linked_at": model.linked_at,
        "present": all(there(path) for path in files),
        "parts": [str(path) for path in model.parts],
        "projector": str(model.projector) if model.projector else None,
        "source": model.source,
        "owned": model.owned,
    }


def for_people(values: Mapping[str, object], widest: int = 400) -> dict[str, object]:
    """Texts of files and of other programs on one line each: a line break in one cannot pass for a line of ours."""
    return {key: one_line(value, widest) for key, value in values.items()}


def one_line(value: object, widest: int = 400) -> object:
    """A text with its line breaks spelt out, and not longer than a paragraph; anything else as it is."""
    if isinstance(value, (list, tuple)):
        return [one_line(each, widest) for each in cast("Sequence[object]", value)]
    if not isinstance(value, str):
        return value
    text = value.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
    return text if len(text) <= widest else f"{text[:widest]}... ({len(value)} characters)"


def store() -> Store:
    """The user's store."""
    from llama_orch.models import Store

    return Store()


def remember(models: Iterable[StoredModel]) -> None:
    """Keeps the names for TAB."""
    from llama_orch.cli.completion import names

    names.remember(models=[model.id for model in models])


def next_step(model: StoredModel) -> str:
    """The command that uses it: an embedding model answers no question."""
    capabilities = store().show(model.id).capabilities
    if "completion" in capabilities:
        return f"ask it: orch run -m {model.id} 'Hello'"
    what = "embeddings" if "embedding" in capabilities else "rankings"
    return f"serve its {what}: orch serve -m {model.id}"
