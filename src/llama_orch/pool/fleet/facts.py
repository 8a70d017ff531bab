# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model's GGUF says that a fleet has to know before it loads it: how large it gets, and what it can do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from llama_orch.models.gguf_header import GgufHeader, read_header
from llama_orch.models.stored_model import StoredModel
from llama_orch_utils.errors import OrchError

_F16_BYTES = 2
_RANK = 4  # llama_pooling_type (llama.h): 0 none, 1 mean, 2 cls, 3 last, 4 rank
_HEADS = ("cls.weight", "cls.output.weight")
# Before, after and in the middle of a gap (llama-vocab.cpp): the names today, and those of older files.
_GAP = (("fim_pre", "prefix"), ("fim_suf", "suffix"), ("fim_mid", "middle"))


@dataclass(frozen=True, slots=True)
class Facts:
    """`weights` and `bytes_per_token` (keys and values of all layers, f16) in bytes; `context_train` in tokens."""

    weights: int
    bytes_per_token: int
    context_train: int
    vocabulary: int
    capabilities: tuple[str, ...]


class Known:
    """What has been read already, by file; a replaced file is read again."""

    def __init__(self) -> None:
        self._facts: dict[tuple[str, int, int], Facts] = {}

    def now(self, stored: StoredModel) -> Facts | None:
        """What is known of a model without reading anything."""
        key = _key(stored)
        return None if key is None else self._facts.get(key)

    async def of(self, stored: StoredModel) -> Facts:
        """What the model's file says, read in a thread where it is not known. Raises EngineFailed as `read` does."""
        key = _key(stored)
        found = None if key is None else self._facts.get(key)
        if found is None:
            found = await asyncio.to_thread(read, stored.path)
            if key is not None:
                self._facts[key] = found
        return found

    async def learn(self, models: list[StoredModel]) -> None:
        """Reads what is not known of `models`; what cannot be read is told by whoever asks for that model."""
        for stored in models:
            try:
                await self.of(stored)
            except OrchError:
                continue


def read(path: Path) -> Facts:
    """Reads the header of the GGUF at `path`: slow for large vocabularies, and not for an event loop.

    Raises EngineFailed as `read_header` does.
    """
    header = read_header(path)
    return Facts(
        weights=path.stat().st_size,
        bytes_per_token=_bytes_per_token(header),
        context_train=header.number("context_length") or 0,
        vocabulary=header.lengths.get("tokenizer.ggml.tokens", 0),
        capabilities=_capabilities(header),
    )


def _key(stored: StoredModel) -> tuple[str, int, int] | None:
    try:
        found = stored.path.stat()
    except OSError:
        return None
    return str(stored.path), found.st_size, found.st_mtime_ns


def _bytes_per_token(header: GgufHeader) -> int:
    heads = max(1, header.number("attention.head_count") or 1)
    layers = header.number("block_count") or 0
    head = (header.number("embedding_length") or 0) // heads
    key = header.number("attention.key_length") or head
    value = header.number("attention.value_length") or head
    return layers * _kv_heads(header, heads) * (key + value) * _F16_BYTES


def _kv_heads(header: GgufHeader, heads: int) -> int:
    found = header.metadata.get(f"{header.architecture}.attention.head_count_kv")
    if isinstance(found, list):  # one number per layer: the largest errs on the safe side
        numbers = [each for each in found if isinstance(each, int)]
        return max(numbers, default=heads)
    return found if isinstance(found, int) and found > 0 else heads


def _capabilities(header: GgufHeader) -> tuple[str, ...]:
    pooling = header.number("pooling_type")
    if pooling is not None and pooling > 0:
        if pooling != _RANK:
            return ("embedding",)
        return ("rerank",) if any(tensor.name in _HEADS for tensor in header.tensors) else ()
    if header.metadata.get(f"{header.architecture}.attention.causal") is False:
        return ("embedding",)
    found = ["completion"]
    template = header.text("tokenizer.chat_template")
    if template is not None:
        found.append("chat")
        if "tools" in template:
            found.append("tools")
        if "<think>" in template or "reasoning" in template or "thinking" in template:
            found.append("thinking")
    if all(any(_token(header, name) for name in names) for names in _GAP):
        found.append("insert")
    return tuple(found)


def _token(header: GgufHeader, name: str) -> bool:
    return header.number(f"tokenizer.ggml.{name}_token_id") is not None
