# SPDX-License-Identifier: GPL-3.0-or-later
"""A GGUF, loaded: its weights, its card, and what it needs per token of context."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from llama_orch import machine
from llama_orch.engine import gguf_file, library, offload
from llama_orch.engine.recommended import recommended_sampling
from llama_orch.engine.records import EngineOptions, LoadProgress, Sampling
from llama_orch_utils.errors import EngineFailed

_F16_BYTES = 2
_NO_VOCABULARY = 0  # LLAMA_VOCAB_TYPE_NONE (llama.h)
_CHECKED_BELOW = 32 * 2**20
"""Weights up to this many bytes are searched for NaN at every load: it costs some milliseconds."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a GGUF says about itself.

    `size_bytes` is its weights, `context_train` the tokens it was trained on, `bytes_per_token` what one token of
    context takes (f16 keys and values of all layers). `sampling` is how its author wants it sampled.
    """

    name: str
    architecture: str
    description: str
    parameters: int
    size_bytes: int
    context_train: int
    vocabulary: int
    chat_template: str | None
    bytes_per_token: int
    recurrent: bool
    sampling: Sampling


class Model:
    """The weights, from `load` to `close`; `pointer` is llama.cpp's, `vocabulary` its vocabulary's."""

    def __init__(self, lib: ModuleType, pointer: int, path: Path) -> None:
        self.pointer, self.path = pointer, path
        self._lib = lib
        self.card = _card(lib, pointer, path)
        self.vocabulary: int = lib.llama_model_get_vocab(pointer)

    @classmethod
    def load(cls, path: Path, options: EngineOptions, progress: LoadProgress | None = None) -> Model:
        """Loads `path`. Raises EngineFailed, with the reason in words, for whatever is no model that can generate."""
        size = gguf_file.check_header(path)
        _check_memory(path, size, options)
        lib, log = library.load(), library.log()
        if options.gpu_layers != 0 and not lib.llama_supports_gpu_offload():
            raise EngineFailed(
                f"gpu_layers is {options.gpu_layers}, and the installed llama.cpp was built without a GPU.",
                hint="orch config set gpu_layers 0",
            )
        params = lib.llama_model_default_params()
        held = offload.apply(lib, params, options)
        params.use_extra_bufts = options.extra_buffers
        params.check_tensors = options.check_tensors or size < _CHECKED_BELOW
        report = _progress_callback(lib, progress)
        params.progress_callback = report
        log.clear()
        pointer = lib.llama_model_load_from_file(os.fsencode(path), params)
        del held
        if not pointer:
            reason = log.reason() or "llama.cpp gives no reason"
            short = offload.is_shortage(log.last_words())
            raise EngineFailed(
                f"{path} cannot be loaded: {reason}.".replace("..", "."),
                last_words=log.last_words(),
                hint=offload.LESS if short else f"fetch the model again, then: orch models link {path}",
                code=offload.OUT_OF_MEMORY if short else None,
            )
        return cls._usable(lib, pointer, path)

    @classmethod
    def _usable(cls, lib: ModuleType, pointer: int, path: Path) -> Model:
        if not lib.llama_model_has_decoder(pointer) or lib.llama_model_has_encoder(pointer):
            lib.llama_model_free(pointer)
            raise EngineFailed(f"{path} is an encoder: it cannot generate text.", hint="orch models ls")
        if lib.llama_vocab_type(lib.llama_model_get_vocab(pointer)) == _NO_VOCABULARY:
            lib.llama_model_free(pointer)  # llama.cpp ends the process at the first text
            raise EngineFailed(f"{path} has no tokenizer: it cannot read a text.", hint="orch models ls")
        try:
            return cls(lib, pointer, path)
        except BaseException:
            lib.llama_model_free(pointer)
            raise

    def close(self) -> None:
        """Frees the weights; contexts go first. Harmless when repeated."""
        pointer, self.pointer = self.pointer, 0
        if pointer:
            self._lib.llama_model_free(pointer)


def _progress_callback(lib: ModuleType, progress: LoadProgress | None) -> object:
    def report(fraction: float, _data: object) -> bool:
        if progress is not None:
            progress(min(1.0, max(0.0, fraction)))
        return True

    return lib.llama_progress_callback(report)


def _check_memory(path: Path, size: int, options: EngineOptions) -> None:
    """Repacked weights are private copies: what does not fit is killed by the kernel, not refused by llama.cpp."""
    available = machine.available_memory()
    if options.extra_buffers and options.gpu_layers == 0 and size > available:
        raise EngineFailed(
            f"{path} needs about {size / 2**30:.1f} GiB of memory for its weights; {available / 2**30:.1f} are free.",
            hint="close other programs, or link a smaller quantisation: orch models link FILE",
            code=offload.OUT_OF_MEMORY,
        )


def _card(lib: ModuleType, pointer: int, path: Path) -> ModelCard:
    architecture = metadata(lib, pointer, "general.architecture") or "unknown"
    template = lib.llama_model_chat_template(pointer, None)
    buffer = ctypes.create_string_buffer(256)
    lib.llama_model_desc(pointer, buffer, len(buffer))
    return ModelCard(
        name=metadata(lib, pointer, "general.name") or path.stem,
        architecture=architecture,
        description=buffer.value.decode("utf-8", "replace"),
        parameters=lib.llama_model_n_params(pointer),
        size_bytes=lib.llama_model_size(pointer),
        context_train=lib.llama_model_n_ctx_train(pointer),
        vocabulary=lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(pointer)),
        chat_template=template.decode("utf-8", "replace") if template else None,
        bytes_per_token=_bytes_per_token(lib, pointer, architecture),
        recurrent=bool(lib.llama_model_is_recurrent(pointer) or lib.llama_model_is_hybrid(pointer)),
        sampling=recommended_sampling(lambda key: metadata(lib, pointer, key)),
    )


def _bytes_per_token(lib: ModuleType, pointer: int, architecture: str) -> int:
    heads, kv_heads = lib.llama_model_n_head(pointer), lib.llama_model_n_head_kv(pointer)
    head = lib.llama_model_n_embd(pointer) // max(1, heads)
    key = int(metadata(lib, pointer, f"{architecture}.attention.key_length") or head)
    value = int(metadata(lib, pointer, f"{architecture}.attention.value_length") or head)
    return lib.llama_model_n_layer(pointer) * max(1, kv_heads) * (key + value) * _F16_BYTES


def metadata(lib: ModuleType, pointer: int, key: str) -> str | None:
    """One value of the GGUF's metadata as text; None if it has no such key. Arrays are not given whole."""
    name = key.encode()
    size = lib.llama_model_meta_val_str(pointer, name, None, 0)
    if size < 0:
        return None
    buffer = ctypes.create_string_buffer(size + 1)
    lib.llama_model_meta_val_str(pointer, name, buffer, len(buffer))
    return buffer.value.decode("utf-8", "replace")
