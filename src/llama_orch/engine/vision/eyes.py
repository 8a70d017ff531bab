# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether and how the loaded model sees: the projector, opened at the first image, and what was seen of late."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llama_orch.engine import library, trial
from llama_orch.engine.vision import file
from llama_orch.engine.vision.kind import kind_of
from llama_orch.engine.vision.picture import Picture, Span
from llama_orch.engine.vision.projector import MAX_ROWS, Piece, Projector, Rows
from llama_orch_utils.errors import BadRequest, EngineFailed, OrchError, UnsupportedByTarget

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llama_orch.engine.model import Model
    from llama_orch.engine.records import EngineOptions
    from llama_orch.engine.vocabulary import Vocabulary

    Embeddings = list[NDArray[np.float32]]

MAX_PICTURES = 64
"""Images of one request."""
_MEMORY = 256 * 2**20
_PIECES = 1024
_MROPE = (8, 40)  # LLAMA_ROPE_TYPE_MROPE, _IMROPE (llama.h)
_PARTICULAR = frozenset(("deepseek4v", "hunyuanvl"))
"""Projectors whose rows depend on what stands before the image."""
_REBUILD = "orch engine build --backend cpu, then ask again"


class Eyes:
    """What the model's projector makes of images.

    `blind` says in words why it sees nothing after all, None where it should. Nothing of libmtmd is loaded before the
    first image; from then on the projector stays. Safe from any thread; the embeddings of the last images are kept
    (256 MiB), and how many tokens the last 1,024 became.
    """

    def __init__(self, path: Path, open_projector: Callable[[], Projector], *, blind: str | None, whole: int) -> None:
        self.path, self.blind = path, blind
        self._open, self._whole = open_projector, whole
        self._lock = threading.Lock()
        self._projector: Projector | None = None
        self._failure: OrchError | None = None
        self._closed = False
        self._pieces: OrderedDict[bytes, list[Piece]] = OrderedDict()
        self._seen: OrderedDict[bytes, Embeddings] = OrderedDict()
        self._bytes = 0

    def check(self, pictures: Sequence[Picture]) -> None:
        """Raises what `file.check` does for each, and UnsupportedByTarget where this model sees nothing after all."""
        if len(pictures) > MAX_PICTURES:
            raise BadRequest(f"{len(pictures)} images; {MAX_PICTURES} are the most", param=pictures[MAX_PICTURES].where)
        for picture in pictures:
            if self.blind is not None:
                raise UnsupportedByTarget(
                    f"this model cannot see the image: {self.blind}",
                    capability="vision",
                    param=picture.where,
                    hint=_REBUILD if "libmtmd" in self.blind else "describe what it shows as text",
                )
            file.check(picture.data, picture.where)

    def read(
        self, vocabulary: Vocabulary, text: str, pictures: Sequence[Picture]
    ) -> tuple[list[int], tuple[Span, ...]]:
        """The tokens of a prompt in which each picture's mark stands once, and where its rows are.

        The rows are pseudo-tokens below 0. Raises BadRequest with the picture's own pointer.
        """
        self.check(pictures)
        tokens: list[int] = []
        spans: list[Span] = []
        for index, picture in enumerate(_in_order(text, pictures)):
            before, text = text.split(picture.mark, 1)
            tokens += vocabulary.tokenize(before, special=True, add_bos=False if index else None)
            self._add(picture, tokens, spans)
        return [*tokens, *vocabulary.tokenize(text, special=True, add_bos=False)], tuple(spans)

    def look(self, spans: Sequence[Span]) -> None:
        """Gives each span its embeddings. Takes seconds for an image that was not seen of late."""
        for span in spans:
            if span.rows is None:
                rows = self._embeddings(span.picture)[span.part]
                if len(rows) != span.count:
                    raise EngineFailed(f"the projector gave {len(rows)} rows instead of {span.count}")
                span.rows = rows

    def close(self) -> None:
        """Frees the projector; waits for an image that is being encoded."""
        with self._lock:
            self._closed = True
            if self._projector is not None:
                self._projector.close()

    def _add(self, picture: Picture, tokens: list[int], spans: list[Span]) -> None:
        part = 0
        for piece in self._read(picture):
            if isinstance(piece, Rows):
                span = Span(picture, part, len(tokens), piece.count, piece.whole)
                tokens += span.marks
                spans.append(span)
                part += 1
            else:
                tokens += piece.ids

    def _read(self, picture: Picture) -> list[Piece]:
        with self._lock:
            known = self._pieces.get(picture.digest)
            projector = self._opened() if known is None else None
        if known is not None:
            return known
        assert projector is not None
        found = projector.read(picture)
        self._check_rows(picture, [piece for piece in found if isinstance(piece, Rows)])
        with self._lock:
            self._pieces[picture.digest] = found
            while len(self._pieces) > _PIECES:
                self._pieces.popitem(last=False)
        return found

    def _check_rows(self, picture: Picture, rows: list[Rows]) -> None:
        count = sum(each.count for each in rows)
        if not 0 < count <= MAX_ROWS:
            raise BadRequest(f"the image becomes {count} tokens; {MAX_ROWS} are the most", param=picture.where)
        widest = max((each.count for each in rows if each.whole), default=0)
        if widest > self._whole:
            raise UnsupportedByTarget(
                f"the image's {widest} rows must be computed together, and {self._whole} are the most here",
                capability="vision",
                param=picture.where,
                hint="describe what it shows as text",
            )

    def _embeddings(self, picture: Picture) -> Embeddings:
        with self._lock:
            known = self._seen.get(picture.digest)
            if known is not None:
                self._seen.move_to_end(picture.digest)
                return known
            projector = self._opened()
        found = projector.encode(picture)
        with self._lock:
            if picture.digest not in self._seen:
                self._seen[picture.digest] = found
                self._bytes += _size(found)
            while self._bytes > _MEMORY and len(self._seen) > 1:
                self._bytes -= _size(self._seen.popitem(last=False)[1])
        return found

    def _opened(self) -> Projector:
        """The projector; opened now if it is not yet. What failed once fails again at once."""
        if self._closed:
            raise EngineFailed("The engine was stopped before the request was done.", hint="run the command again")
        if self._failure is not None:
            raise EngineFailed(self._failure.message, hint=self._failure.hint, code=self._failure.code)
        if self._projector is None:
            try:
                self._projector = self._open()
            except OrchError as error:
                self._failure = error
                raise
        return self._projector


def open_eyes(model: Model, options: EngineOptions, *, threads: int, whole: int, cache_dir: Path | None) -> Eyes | None:
    """The eyes of a model with a projector, None without; `whole` rows are the most that fit into one computation."""
    if options.projector is None:
        return None
    path = Path(options.projector)

    def opened() -> Projector:
        trial.verify_projector(path, model.path, cache_dir)
        return Projector(path, model.pointer, threads=threads)

    return Eyes(path, opened, blind=_blind(model, path), whole=whole)


def _blind(model: Model, path: Path) -> str | None:
    if not library.has_vision():
        return "llama.cpp was built here without libmtmd, its part for images"
    if library.load().llama_model_rope_type(model.pointer) in _MROPE:
        return "models that count positions in three dimensions (M-RoPE: Qwen-VL, GLM-V) see no images here yet"
    kind = kind_of(path)
    return f"projectors of the kind {kind} are not served here" if kind in _PARTICULAR else None


def _in_order(text: str, pictures: Sequence[Picture]) -> list[Picture]:
    """The pictures as their marks stand in the text. Raises BadRequest where the template left one out, or doubled."""
    for picture in pictures:
        if text.count(picture.mark) != 1:
            raise BadRequest("the model's chat template loses the image", param=picture.where)
    return sorted(pictures, key=lambda picture: text.index(picture.mark))


def _size(arrays: Embeddings) -> int:
    return sum(array.nbytes for array in arrays)
