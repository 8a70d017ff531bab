# SPDX-License-Identifier: GPL-3.0-or-later
"""A Llama in PyTorch, small enough for a CPU; names and layout are those that llama.cpp expects.

Rotary embeddings rotate interleaved pairs (2i, 2i+1), as ggml's "norm" mode does, so that q and k need no
permutation at export. Embeddings are tied. Norms are RMS (arXiv:1910.07467), the FFN is SwiGLU (arXiv:2002.05202).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """Sizes of the network; every row is a multiple of 32, which Q8_0 needs."""

    vocab: int = 2560
    dim: int = 256
    layers: int = 3
    heads: int = 4
    hidden: int = 512
    context: int = 512
    eps: float = 1e-5
    rope_base: float = 10_000.0
    dropout: float = 0.05

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.dim // self.heads


def rotation(shape: Shape) -> Tensor:
    """Unit complex numbers: (context, head_dim / 2)."""
    steps = torch.arange(0, shape.head_dim, 2, dtype=torch.float32) / shape.head_dim
    angles = torch.outer(torch.arange(shape.context, dtype=torch.float32), shape.rope_base**-steps)
    return torch.polar(torch.ones_like(angles), angles)


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Rotate the pairs of the last axis of x (batch, length, heads, head_dim)."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    turned = pairs * table[: x.shape[1], None]
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


class ChannelDropout(nn.Module):
    """Dropout of whole channels of a row: as good at this size, and a fraction of the random numbers."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, dim) to the same."""
        if not self.training or not self.share:
            return x
        kept = torch.rand(x.shape[0], 1, x.shape[2]) >= self.share
        return x * (kept / (1 - self.share)).to(x.dtype)


class Attention(nn.Module):
    """Causal self-attention."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.attn_qkv = nn.Linear(shape.dim, 3 * shape.dim, bias=False)
        self.attn_output = nn.Linear(shape.dim, shape.dim, bias=False)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        """(batch, length, dim) to the same."""
        q, k, v = self.attn_qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(2)
        q = rotate(q, table) * q.shape[-1] ** -0.5
        return self.attn_output(_attend(q, rotate(k, table), v).flatten(2))


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Plain attention; rows are short, and PyTorch's fused kernel is slower on them."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    later = torch.full((q.shape[2], q.shape[2]), -1e4, dtype=q.dtype).triu(1)
    weights = (q @ k.transpose(-1, -2) + later).softmax(-1, dtype=torch.float32)
    return (weights.to(v.dtype) @ v).transpose(1, 2)


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.ffn_gate_up = nn.Linear(shape.dim, 2 * shape.hidden, bias=False)
        self.ffn_down = nn.Linear(shape.hidden, shape.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, dim) to the same."""
        gate, up = self.ffn_gate_up(x).chunk(2, dim=-1)
        return self.ffn_down(functional.silu(gate) * up)


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and beside a residual."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attn_norm = nn.RMSNorm(shape.dim, eps=shape.eps)
        self.attention = Attention(shape)
        self.ffn_norm = nn.RMSNorm(shape.dim, eps=shape.eps)
        self.feed_forward = FeedForward(shape)
        self.dropout = ChannelDropout(shape.dropout)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        """(batch, length, dim) to the same."""
        x = x + self.dropout(self.attention(self.attn_norm(x), table))
        return x + self.dropout(self.feed_forward(self.ffn_norm(x)))


class Llama(nn.Module):
    """Token ids (batch, length) to logits (batch, length, vocab)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocab, shape.dim)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = nn.RMSNorm(shape.dim, eps=shape.eps)
        self.dropout = ChannelDropout(shape.dropout)
        self.register_buffer("table", rotation(shape), persistent=False)
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)

    def features(self, ids: Tensor) -> Tensor:
        """Hidden states before the output matrix: (batch, length, dim)."""
        x = self.dropout(self.token_embd(ids))
        for block in self.blk:
            x = block(x, self.table)
        return self.output_norm(x)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits, through the tied embedding."""
        return functional.linear(self.features(ids), self.token_embd.weight)
