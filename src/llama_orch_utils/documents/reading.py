# SPDX-License-Identifier: Apache-2.0
"""Which reader takes which file, and how large one may be."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Protocol, cast

from llama_orch_utils.documents.document import Document
from llama_orch_utils.errors import BadRequest, ConfigError

if TYPE_CHECKING:
    from llama_orch_utils.applets.files import Files

MOST_BYTES = 32 * 1024 * 1024
"""The largest file that is read."""
MOST_CHARACTERS = 8 * 1024 * 1024
"""The longest text that comes of one: a small file may hold a very long one, packed."""
_ROOM = "llama_orch_utils.documents"
SUFFIXES = {
    ".txt": "text", ".text": "text", ".log": "text", ".md": "markdown", ".markdown": "markdown", ".rst": "text",
    ".html": "html", ".htm": "html", ".pdf": "pdf", ".docx": "docx", ".csv": "csv", ".vtt": "text", ".srt": "text",
}  # fmt: skip
"""The kind of a file by its suffix."""
_READERS = {
    "text": "plain", "markdown": "plain", "html": "page", "pdf": "pdf", "docx": "word", "csv": "table",
}  # fmt: skip
_SIGNATURES = ((b"%PDF-", "pdf"), (b"PK\x03\x04", "docx"))


class _Reader(Protocol):
    def read(self, name: str, kind: str, data: bytes) -> Document: ...


def read(name: str, data: bytes, kind: str | None = None) -> Document:
    """The document in `data`; its `kind` by the name's suffix unless given.

    Raises BadRequest for a file of another kind, an empty, broken, encrypted or too large one, and one without text
    (a scan); ConfigError where its reader is not installed.
    """
    if not data.strip():
        raise BadRequest(f"{name} is empty", hint="leave it out")
    if len(data) > MOST_BYTES:
        raise BadRequest(f"{name} is larger than {MOST_BYTES // 2**20} MiB", hint="split it into parts")
    found = _kind(name, data) if kind is None else kind
    reader = _READERS.get(found)
    if reader is None:
        raise BadRequest(f"{name} is no document that can be read", hint=_known())
    try:
        document = cast("_Reader", import_module(f"{_ROOM}.{reader}")).read(name, found, data)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed, and {name} needs it", hint="pip install 'llama-orch-utils[documents]'"
        ) from error
    if len(document.text) > MOST_CHARACTERS:
        raise BadRequest(f"{name} holds more than {MOST_CHARACTERS // 2**20} Mi characters", hint="split it into parts")
    if not document.text.strip():
        raise BadRequest(f"{name} holds no text", hint="a scan needs text recognition first, such as ocrmypdf")
    return document


def load(files: Files, place: str | Path) -> Iterator[Document]:
    """The document at `place`, or those in the folder there, named by their path below it.

    What no reader takes is passed over in a folder, and an error when it is named itself. Raises as `read` and `Files`.
    """
    root = files.place(place)
    for found in files.documents(place):
        if found != root and found.suffix.lower() not in SUFFIXES:
            continue
        name = found.name if found == root else found.relative_to(root).as_posix()
        yield read(name, files.read(found, MOST_BYTES))


def _kind(name: str, data: bytes) -> str:
    """By its suffix; a file whose first bytes are another kind's is refused."""
    suffix = PurePath(name).suffix.lower()
    kind = SUFFIXES.get(suffix)
    if kind is None:
        raise BadRequest(f"{name} is no document that can be read", hint=_known())
    signed = next((each for start, each in _SIGNATURES if data.startswith(start)), None)
    if (signed is not None or kind in ("pdf", "docx")) and signed != kind:
        said = f"holds {signed.upper()}" if signed is not None else f"is no {kind.upper()} inside"
        raise BadRequest(f"{name} {said}, whatever its name says", hint="give it the right suffix")
    return kind


def _known() -> str:
    return f"these are read: {', '.join(sorted(SUFFIXES))}"
