# SPDX-License-Identifier: GPL-3.0-or-later
"""A multimodal projector behind llama.cpp's libmtmd: image files to tokens around rows, and rows to embeddings."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from llama_orch.engine import gguf_file, library
from llama_orch.engine.vision.picture import Picture
from llama_orch_utils.errors import BadRequest, EngineFailed

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ROWS = 8192
"""Rows that one image may become; the gateway reserves for as many (`tap.admission.asked`)."""

_NOWHERE = b"/dev/null"
"""Where libmtmd is to look for ffmpeg, which it would give whatever stb_image cannot decode: there is none."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens that the projector puts around an image."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """`count` rows of embeddings; `whole`: they see one another (Gemma 3), and are computed in one batch."""

    count: int
    whole: bool


Piece = Tokens | Rows


class Projector:
    """An open projector, from construction to `close`. `read` may be called from any thread, so may `encode`.

    Every image was checked before (`file.check`): libmtmd also takes sounds and films, and asks ffmpeg for those.
    """

    def __init__(self, path: Path, model: int, *, threads: int) -> None:
        gguf_file.check_header(path)
        self._lib: ModuleType = library.load_vision()
        self._width: int = library.load().llama_model_n_embd_inp(model)
        self._one_at_a_time = threading.Lock()
        self._gate, self._users, self._closing = threading.Condition(), 0, False
        params = self._lib.mtmd_context_params_default()
        # On the CPU: that is where its memory is reckoned with.
        params.use_gpu, params.n_threads, params.warmup, params.print_timings = False, threads, False, False
        log = library.log()
        log.clear()
        self._pointer = self._lib.mtmd_init_from_file(os.fsencode(path), model, params)
        if not self._pointer:
            raise EngineFailed(
                f"the projector {path} cannot be loaded: {log.reason() or 'llama.cpp gives no reason'}",
                last_words=log.last_words(),
                hint="--projector FILE, the mmproj file that came with the model",
                code="projector_unusable",
            )
        if not self._lib.mtmd_support_vision(self._pointer):
            self.close()
            raise EngineFailed(f"the projector {path} reads no images", hint="--projector FILE", code="no_vision")

    def read(self, picture: Picture) -> list[Piece]:
        """What the image becomes in a prompt. Raises BadRequest for one that cannot be decoded."""
        with self._chunks(picture) as chunks:
            return [self._piece(chunk) for chunk in self._all(chunks)]

    def encode(self, picture: Picture) -> list[NDArray[np.float32]]:
        """The embeddings of its rows, [count, width], one array per `Rows` of `read`. One image at a time."""
        with self._one_at_a_time, self._chunks(picture) as chunks:
            return [self._encoded(chunk) for chunk in self._all(chunks) if not self._is_text(chunk)]

    def close(self) -> None:
        """Frees it once nobody reads with it any more; before the model. Harmless when repeated."""
        with self._gate:
            self._closing = True
            self._gate.wait_for(lambda: not self._users)
            pointer, self._pointer = self._pointer, 0
        if pointer:
            self._lib.mtmd_free(pointer)

    @contextmanager
    def _in_use(self) -> Generator[None]:
        with self._gate:
            if self._closing:
                raise EngineFailed("The engine was stopped before the image was read.", hint="run the command again")
            self._users += 1
        try:
            yield
        finally:
            with self._gate:
                self._users -= 1
                self._gate.notify_all()

    @contextmanager
    def _chunks(self, picture: Picture) -> Generator[int]:
        with self._in_use(), self._bitmap(picture) as bitmap:
            lib = self._lib
            chunks = lib.mtmd_input_chunks_init()
            try:
                part = lib.mtmd_input_part(bitmap=bitmap)
                parts: Any = (ctypes.POINTER(lib.mtmd_input_part) * 1)(ctypes.pointer(part))  # pyright: ignore[reportUnknownVariableType]
                if lib.mtmd_tokenize_from_parts(self._pointer, chunks, parts, 1, False):
                    raise BadRequest("the projector does not take this image", param=picture.where, hint="resize it")
                yield chunks
            finally:
                lib.mtmd_input_chunks_free(chunks)

    @contextmanager
    def _bitmap(self, picture: Picture) -> Generator[int]:
        lib, data = self._lib, picture.data
        buffer = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
        options = lib.mtmd_helper_init_opt_default()
        options.video_params.ffmpeg_bin_dir = _NOWHERE
        found = lib.mtmd_helper_bitmap_init_from_buf_wrapper(self._pointer, buffer, len(data), False, options)
        bitmap = found.bitmap
        if found.video_ctx:
            lib.mtmd_helper_video_free(found.video_ctx)
        if found.video_ctx or not bitmap:
            if bitmap:
                lib.mtmd_bitmap_free(bitmap)
            raise BadRequest("the image is broken: it cannot be decoded", param=picture.where, hint="send it as PNG")
        try:
            yield bitmap
        finally:
            lib.mtmd_bitmap_free(bitmap)

    def _all(self, chunks: int) -> Iterator[Any]:
        for index in range(self._lib.mtmd_input_chunks_size(chunks)):
            yield self._lib.mtmd_input_chunks_get(chunks, index)

    def _is_text(self, chunk: Any) -> bool:
        return self._lib.mtmd_input_chunk_get_type(chunk) == self._lib.MTMD_INPUT_CHUNK_TYPE_TEXT

    def _piece(self, chunk: Any) -> Piece:
        if not self._is_text(chunk):
            count = self._lib.mtmd_input_chunk_get_n_tokens(chunk)
            return Rows(count, bool(self._lib.mtmd_decode_use_non_causal(self._pointer, chunk)))
        count = ctypes.c_size_t()
        tokens = self._lib.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
        return Tokens(tuple(tokens[: count.value]) if count.value else ())

    def _encoded(self, chunk: Any) -> NDArray[np.float32]:
        library.log().clear()
        if self._lib.mtmd_encode_chunk(self._pointer, chunk):
            raise EngineFailed(
                f"the image could not be encoded: {library.log().reason() or 'llama.cpp gives no reason'}",
                hint="orch logs worker",
            )
        rows = self._lib.mtmd_input_chunk_get_n_tokens(chunk)
        found = np.ctypeslib.as_array(self._lib.mtmd_get_output_embd(self._pointer), (rows, self._width))
        return found.copy()
