#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write random-weight GGUF models (no downloads).

    make_gguf.py tiny   OUT.gguf            ~1.6 MB llama-arch model, byte-level BPE, ChatML template
    make_gguf.py embed  OUT.gguf            ~1.6 MB bert-like encoder (mean pooling), for /v1/embeddings tests
    make_gguf.py embed-cls  OUT.gguf        the same with WordPiece ([CLS] text [SEP]) and CLS pooling
    make_gguf.py embed-last OUT.gguf        Qwen3-Embedding-shaped decoder, last-token pooling
    make_gguf.py rank   OUT.gguf            bert-like cross-encoder with a classification head (one score)
    make_gguf.py rank-decoder OUT.gguf      Qwen3-Reranker-shaped decoder: yes and no, and a rerank template
    make_gguf.py lora   OUT.gguf --base B   rank-4 LoRA adapter for a model written here
    make_gguf.py small  OUT.gguf            ~42 M parameters, 32k vocabulary, f16 (83 MB): quick throughput tests
    make_gguf.py qwen05 OUT.gguf            Qwen2.5-0.5B-shaped, f16 (0.99 GB); quantise with `quantize`
    make_gguf.py quantize IN OUT TYPE       TYPE = q8_0 | q4_0 | q4_k_m ... (through llama_cpp.llama_model_quantize)

Needs the `gguf` PyPI package (and numpy).  Deterministic for a given --seed.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CHATML = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


# ------------------------------------------------------------------ vocabulary
def byte_to_unicode() -> dict[int, str]:
    """The GPT-2 byte <-> printable-unicode table."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {b: chr(b) for b in keep}, 0
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + extra)
            extra += 1
    return table


@dataclass
class Vocab:
    tokens: list[str]
    types: list[int]  # 1 normal, 3 control
    merges: list[str]
    eos: int
    eot: int
    bos: int | None = None


def bpe_vocab(n_vocab: int, seed: int = 0) -> Vocab:
    """A byte-level BPE vocabulary of exactly n_vocab tokens.

    The non-byte tokens form a random prefix-closed trie, so each has the one merge (parent, byte):
    any text tokenises, tokens are 2..10 characters long and mostly letters, as in a trained vocabulary.
    """
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    b2u = byte_to_unicode()
    tokens = [b2u[b] for b in range(256)]
    merges: list[str] = []
    rng = random.Random(seed)
    seen = set(tokens)
    space = b2u[32]

    def grow(parent: str, ch: str) -> str:
        tok = parent + ch
        if tok not in seen and len(tokens) < n_vocab - len(specials):
            seen.add(tok)
            tokens.append(tok)
            merges.append(f"{parent} {ch}")
        return tok

    for s in [
        '{"',
        '":',
        '",',
        '"]',
        '"}',
        "},",
        "],",
        "[]",
        "{}",
        "\n\n",
        "  ",
        "    ",
        "</",
        "/>",
        "():",
        "==",
        "!=",
    ]:
        cur = b2u[ord(s[0])]
        for c in s[1:]:
            cur = grow(cur, b2u[ord(c)])
    letters, weights = (
        "etaoinshrdlcumwfgypbvkjxqz",
        [
            12.7,
            9,
            8.1,
            7.5,
            7,
            6.7,
            6.3,
            6.1,
            6,
            4.2,
            4,
            2.8,
            2.7,
            2.4,
            2.4,
            2.2,
            2,
            2,
            1.9,
            1.5,
            1,
            0.8,
            0.2,
            0.2,
            0.1,
            0.1,
        ],
    )
    misc = [b2u[b] for b in range(33, 127) if not chr(b).isalpha()] + [b2u[b] for b in range(128, 256)]
    heads = [space] * 10 + list(letters) + [c.upper() for c in letters]
    while len(tokens) < n_vocab - len(specials):
        if rng.random() < 0.08:  # some non-letter / non-ASCII tokens
            cur = rng.choice(misc)
            for _ in range(rng.randint(1, 3)):
                cur = grow(cur, rng.choice(misc))
            continue
        cur = rng.choice(heads)
        for c in rng.choices(letters, weights, k=rng.randint(2, 7)):
            cur = grow(cur, c)
    base = len(tokens)
    tokens += specials
    return Vocab(tokens, [1] * base + [3] * len(specials), merges, eos=base, eot=base + 2)


# ------------------------------------------------------------------ shapes
@dataclass
class Shape:
    arch: str
    n_vocab: int
    n_embd: int
    n_layer: int
    n_head: int
    n_head_kv: int
    n_ff: int
    n_ctx: int
    rope_theta: float = 10000.0
    eps: float = 1e-5
    qkv_bias: bool = False


SHAPES = {
    "tiny": Shape("llama", 512, 128, 2, 4, 2, 384, 4096),
    "qwen05": Shape("qwen2", 151936, 896, 24, 14, 2, 4864, 32768, 1e6, 1e-6, True),
    "small": Shape("qwen2", 32000, 512, 8, 8, 4, 1536, 8192, 1e6, 1e-6, True),
    "embed": Shape("bert", 512, 128, 2, 4, 4, 384, 512, eps=1e-12),
    "embed-cls": Shape("bert", 512, 128, 2, 4, 4, 384, 256, eps=1e-12),
    "rank": Shape("bert", 512, 128, 2, 4, 4, 384, 256, eps=1e-12),
    "embed-last": Shape("qwen3", 512, 128, 2, 4, 2, 384, 2048, 1e6, 1e-6),
    "rank-decoder": Shape("qwen3", 512, 128, 2, 4, 2, 384, 1024, 1e6, 1e-6),
}
RERANK = (
    "<|im_start|>system\nIs the document an answer? yes or no<|im_end|>\n"
    "<|im_start|>user\n<Query>: {query}\n<Document>: {document}<|im_end|>\n<|im_start|>assistant\n"
)


def _common(w, s: Shape, name: str) -> None:
    w.add_name(name)
    w.add_context_length(s.n_ctx)
    w.add_embedding_length(s.n_embd)
    w.add_block_count(s.n_layer)
    w.add_feed_forward_length(s.n_ff)
    w.add_head_count(s.n_head)


def _add_decoder_vocabulary(w, v: Vocab) -> None:
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list(v.tokens)
    w.add_token_types(v.types)
    w.add_token_merges(v.merges)
    w.add_eos_token_id(v.eot)  # as Qwen2.5-Instruct: <|im_end|>
    w.add_pad_token_id(v.eos)
    w.add_bos_token_id(v.eos)
    w.add_add_bos_token(False)
    w.add_chat_template(CHATML)


def _add_decoder_purpose(w, s: Shape, preset: str, matryoshka: Sequence[int]) -> None:
    import gguf

    if preset == "embed-last":
        w.add_pooling_type(gguf.PoolingType.LAST)
        w.add_add_eos_token(True)
        _add_matryoshka(w, s, matryoshka)
    if preset == "rank-decoder":
        w.add_pooling_type(gguf.PoolingType.RANK)
        w.add_classifier_output_labels(["yes", "no"])
        w.add_string("tokenizer.chat_template.rerank", RERANK)


def write_decoder(out: str, preset: str, dtype: str, seed: int, matryoshka: Sequence[int] = ()) -> None:
    import gguf

    s = SHAPES[preset]
    v = bpe_vocab(s.n_vocab, seed)
    w = gguf.GGUFWriter(out, s.arch)
    _common(w, s, f"random-{preset}")
    w.add_head_count_kv(s.n_head_kv)
    w.add_rope_freq_base(s.rope_theta)
    w.add_layer_norm_rms_eps(s.eps)
    w.add_rope_dimension_count(s.n_embd // s.n_head)
    w.add_vocab_size(s.n_vocab)
    w.add_file_type({"f32": 0, "f16": 1}[dtype])
    _add_decoder_vocabulary(w, v)
    _add_decoder_purpose(w, s, preset, matryoshka)

    rng = np.random.default_rng(seed)
    np_t = np.float16 if dtype == "f16" else np.float32

    def mat(name: str, rows: int, cols: int, std: float) -> None:
        w.add_tensor(name, (rng.standard_normal((rows, cols), dtype=np.float32) * std).astype(np_t))

    def vec(name: str, n: int, value: float | None = None) -> None:
        a = np.full(n, value, np.float32) if value is not None else (rng.standard_normal(n, dtype=np.float32) * 0.02)
        w.add_tensor(name, a.astype(np.float32))

    kv = s.n_embd // s.n_head * s.n_head_kv
    mat("token_embd.weight", s.n_vocab, s.n_embd, 0.05)  # output is tied
    vec("output_norm.weight", s.n_embd, 1.0)
    if preset == "rank-decoder":
        mat("cls.output.weight", 2, s.n_embd, s.n_embd**-0.5)
    for i in range(s.n_layer):
        p = f"blk.{i}."
        if s.arch == "qwen3":
            vec(p + "attn_q_norm.weight", s.n_embd // s.n_head, 1.0)
            vec(p + "attn_k_norm.weight", s.n_embd // s.n_head, 1.0)
        vec(p + "attn_norm.weight", s.n_embd, 1.0)
        vec(p + "ffn_norm.weight", s.n_embd, 1.0)
        mat(p + "attn_q.weight", s.n_embd, s.n_embd, s.n_embd**-0.5)
        mat(p + "attn_k.weight", kv, s.n_embd, s.n_embd**-0.5)
        mat(p + "attn_v.weight", kv, s.n_embd, s.n_embd**-0.5)
        mat(p + "attn_output.weight", s.n_embd, s.n_embd, s.n_embd**-0.5)
        if s.qkv_bias:
            vec(p + "attn_q.bias", s.n_embd)
            vec(p + "attn_k.bias", kv)
            vec(p + "attn_v.bias", kv)
        mat(p + "ffn_gate.weight", s.n_ff, s.n_embd, s.n_embd**-0.5)
        mat(p + "ffn_up.weight", s.n_ff, s.n_embd, s.n_embd**-0.5)
        mat(p + "ffn_down.weight", s.n_embd, s.n_ff, s.n_ff**-0.5)
    _finish(w)


def wordpieces(n_vocab: int, seed: int = 0) -> Vocab:
    """A WordPiece vocabulary as llama.cpp stores it: a mark in front of what begins a word, none inside of one."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    types = [3, 2, 3, 3, 3]
    characters = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    tokens += ["\u2581" + c for c in characters] + characters
    rng, seen = random.Random(seed), set(tokens)
    while len(tokens) < n_vocab:
        word = "".join(rng.choices("etaoinshrdlcum", k=rng.randint(2, 4)))
        word = rng.choice(["\u2581", ""]) + word
        if word not in seen:
            seen.add(word)
            tokens.append(word)
    return Vocab(tokens, types + [1] * (n_vocab - len(types)), [], eos=3, eot=3, bos=2)


def _add_matryoshka(w, s: Shape, dimensions: Sequence[int]) -> None:
    """As in a model's config.json where vLLM looks for them; GGUF has no agreed key."""
    if dimensions:
        w.add_array(f"{s.arch}.matryoshka_dimensions", list(dimensions))


def _add_vocabulary(w, preset: str, n_vocab: int, seed: int) -> None:
    if preset == "embed":
        v = bpe_vocab(n_vocab, seed)
        w.add_tokenizer_model("gpt2")
        w.add_tokenizer_pre("qwen2")
        w.add_token_merges(v.merges)
        w.add_bos_token_id(v.eos)
        w.add_eos_token_id(v.eos)
    else:
        v = wordpieces(n_vocab, seed)
        w.add_tokenizer_model("bert")
        w.add_bos_token_id(2)
        w.add_sep_token_id(3)
        w.add_unk_token_id(1)
        w.add_pad_token_id(0)
        w.add_mask_token_id(4)
    w.add_token_list(v.tokens)
    w.add_token_types(v.types)


def write_embedder(
    out: str, seed: int, preset: str = "embed", matryoshka: Sequence[int] = (), *, head: bool = True
) -> None:
    """`head` False: a rank model that has lost its classification head."""
    import gguf

    pooling = {"embed": gguf.PoolingType.MEAN, "embed-cls": gguf.PoolingType.CLS, "rank": gguf.PoolingType.RANK}
    s = SHAPES[preset]
    w = gguf.GGUFWriter(out, s.arch)
    _common(w, s, f"random-{preset}")
    w.add_layer_norm_eps(s.eps)
    w.add_causal_attention(False)
    w.add_pooling_type(pooling[preset])
    w.add_vocab_size(s.n_vocab)
    w.add_file_type(0)
    w.add_token_type_count(2)
    _add_vocabulary(w, preset, s.n_vocab, seed)
    _add_matryoshka(w, s, matryoshka)
    rng = np.random.default_rng(seed)

    def mat(name, *shape, std=0.05):
        w.add_tensor(name, (rng.standard_normal(shape, dtype=np.float32) * std))

    def norm(prefix):
        w.add_tensor(prefix + ".weight", np.ones(s.n_embd, np.float32))
        w.add_tensor(prefix + ".bias", np.zeros(s.n_embd, np.float32))

    mat("token_embd.weight", s.n_vocab, s.n_embd)
    mat("position_embd.weight", s.n_ctx, s.n_embd)
    mat("token_types.weight", 2, s.n_embd)
    norm("token_embd_norm")
    if preset == "rank" and head:
        mat("cls.weight", s.n_embd, s.n_embd, std=0.1)
        mat("cls.bias", s.n_embd)
        mat("cls.output.weight", 1, s.n_embd, std=0.3)
        mat("cls.output.bias", 1)
    for i in range(s.n_layer):
        p = f"blk.{i}."
        for n in ("attn_q", "attn_k", "attn_v", "attn_output"):
            mat(p + n + ".weight", s.n_embd, s.n_embd, std=0.1)
            mat(p + n + ".bias", s.n_embd)
        norm(p + "attn_output_norm")
        mat(p + "ffn_up.weight", s.n_ff, s.n_embd)
        mat(p + "ffn_up.bias", s.n_ff)
        mat(p + "ffn_down.weight", s.n_embd, s.n_ff)
        mat(p + "ffn_down.bias", s.n_embd)
        norm(p + "layer_output_norm")
    _finish(w)


def write_lora(out: str, base: str, rank: int, seed: int, std: float = 0.1) -> None:
    import gguf

    reader = gguf.GGUFReader(base)
    arch = reader.get_field("general.architecture").contents()
    w = gguf.GGUFWriter(out, arch)
    w.add_name("random-lora")
    w.add_type("adapter")
    w.add_string("adapter.type", "lora")
    w.add_float32("adapter.lora.alpha", float(rank))
    rng = np.random.default_rng(seed)
    for t in reader.tensors:
        if t.name.endswith(("attn_q.weight", "attn_v.weight", "ffn_down.weight")):
            n_in, n_out = (int(x) for x in t.shape[:2])  # ggml order: ne0 = in, ne1 = out
            w.add_tensor(t.name + ".lora_a", (rng.standard_normal((rank, n_in), dtype=np.float32) * std))
            w.add_tensor(t.name + ".lora_b", (rng.standard_normal((n_out, rank), dtype=np.float32) * std))
    _finish(w)


def _finish(w) -> None:
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def quantize(src: str, dst: str, kind: str, n_threads: int = 0) -> None:
    import llama_cpp

    p = llama_cpp.llama_model_quantize_default_params()
    p.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind.upper()}")
    p.nthread = n_threads
    if rc := llama_cpp.llama_model_quantize(src.encode(), dst.encode(), p):
        raise SystemExit(f"llama_model_quantize failed: {rc}")


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=[*SHAPES, "lora", "quantize"])
    ap.add_argument("paths", nargs="+")
    ap.add_argument("--base")
    ap.add_argument("--dtype", default=None, choices=["f16", "f32"])
    ap.add_argument("--rank", type=int, default=4)
    ap.add_argument("--seed", type=int, default=0)
    a = ap.parse_args()
    if a.what == "quantize":
        quantize(*a.paths)
    elif a.what == "lora":
        write_lora(a.paths[0], a.base, a.rank, a.seed)
    elif SHAPES[a.what].arch == "bert":
        write_embedder(a.paths[0], a.seed, a.what)
    else:
        write_decoder(a.paths[0], a.what, a.dtype or ("f16" if a.what in ("small", "qwen05") else "f32"), a.seed)


if __name__ == "__main__":
    sys.exit(main())
