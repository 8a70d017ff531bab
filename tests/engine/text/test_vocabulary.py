# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import make_gguf
from llama_orch.engine.long_runs import pieces
from llama_orch.engine.vocabulary import Vocabulary
from llama_orch_utils.errors import BadRequest, EngineFailed


def test_text_survives_the_way_there_and_back(vocabulary):
    @given(st.text(max_size=200))
    def check(text):
        tokens = vocabulary.tokenize(text, special=False)
        assert vocabulary.detokenize(tokens) == text.encode()

    check()


def test_special_tokens_are_tokens_only_when_asked_for(vocabulary):
    text = "<|im_start|>user"
    special, plain = vocabulary.tokenize(text, special=True), vocabulary.tokenize(text, special=False)
    assert len(special) < len(plain)
    assert vocabulary.detokenize(special) == b"user"
    assert vocabulary.detokenize(special, special=True) == text.encode()
    assert vocabulary.detokenize(plain) == text.encode()
    assert vocabulary.is_hidden(special[0])
    assert not vocabulary.is_hidden(plain[0])
    assert vocabulary.label(special[0]) == b"<|im_start|>"


def test_the_beginning_token_comes_as_wanted_and_never_twice_by_itself(vocabulary):
    bos = vocabulary.bos
    assert vocabulary.adds_bos is False
    plain = vocabulary.tokenize("a", special=True)
    assert bos not in plain
    assert vocabulary.tokenize("a", special=True, add_bos=True) == [bos, *plain]
    assert vocabulary.tokenize("a", special=True, add_bos=False) == plain
    vocabulary.adds_bos = True
    try:
        assert vocabulary.tokenize("a", special=True) == [bos, *plain]
        name = vocabulary.label(bos).decode()
        assert vocabulary.tokenize(f"{name}a", special=True) == [bos, *plain]
    finally:
        vocabulary.adds_bos = False


def test_nothing_is_no_tokens(vocabulary):
    assert vocabulary.tokenize("", special=True) == []
    assert vocabulary.detokenize([]) == b""


def test_nul_bytes_and_controls_are_text(vocabulary):
    text = "a\0b\x01\x7f\r\n\t"
    assert vocabulary.detokenize(vocabulary.tokenize(text, special=False)) == text.encode()


@pytest.mark.parametrize("text", ["a" * 10_000_000, "words and\n" * 1_000_000], ids=["one word", "many"])
def test_ten_megabytes_are_tokenised(vocabulary, text):
    began = time.monotonic()
    tokens = vocabulary.tokenize(text, special=True)
    assert vocabulary.detokenize(tokens[:10]).decode() == text[: len(vocabulary.detokenize(tokens[:10]))]
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("text", ["\ud800", "ok \udfff no"])
def test_a_lone_surrogate_is_refused_in_words(vocabulary, text):
    with pytest.raises(BadRequest, match="lone surrogate U\\+D"):
        vocabulary.tokenize(text, special=False)


@pytest.mark.parametrize("token", [-1, -(2**31), 512, 2**31, 2**70])
def test_a_token_outside_the_vocabulary_never_reaches_c(vocabulary, token):
    for call in (vocabulary.piece, vocabulary.label, vocabulary.text, vocabulary.is_hidden):
        with pytest.raises(BadRequest, match="outside the vocabulary"):
            call(token)
    with pytest.raises(BadRequest):
        vocabulary.detokenize([1, token])
    with pytest.raises(BadRequest):
        vocabulary.check([1, token])
    assert not vocabulary.is_end(token)


def test_the_ends_are_known(vocabulary):
    assert {vocabulary.eos, vocabulary.tokenize("<|im_end|>", special=True)[0]} <= vocabulary.ends
    assert all(vocabulary.is_end(token) for token in vocabulary.ends)
    assert not vocabulary.is_end(65)


def test_pieces_are_remembered(vocabulary):
    assert vocabulary.piece(65) is vocabulary.piece(65)


def test_a_missing_vocabulary_is_an_error_in_words(vocabulary):
    for pointer, size in ((None, 512), (vocabulary.pointer, 0), (vocabulary.pointer, 511)):
        with pytest.raises(EngineFailed, match="no usable vocabulary"):
            Vocabulary(pointer, size)


DYING = """
import sys
import make_gguf, gguf
from llama_orch.engine import library
from llama_orch.engine.vocabulary import Vocabulary
path, kind = sys.argv[1:]
original = gguf.GGUFWriter.add_tokenizer_pre
gguf.GGUFWriter.add_tokenizer_pre = lambda self, _: original(self, kind)
make_gguf.write_decoder(path, "tiny", "f32", 0)
lib = library.load()
parameters = lib.llama_model_default_params()
parameters.vocab_only = True
model = lib.llama_model_load_from_file(path.encode(), parameters)
pointer = lib.llama_model_get_vocab(model)
vocabulary = Vocabulary(pointer, lib.llama_vocab_n_tokens(pointer))
for text in ("a" * 60_000, " " * 60_000, "e\\u0301" * 30_000, "\\n" * 60_000, "!" * 60_000, "a1" * 30_000, "!\\n" * 9):
    assert vocabulary.detokenize(vocabulary.tokenize(text, special=True)) == text.encode()
"""


@pytest.mark.parametrize("kind", ["deepseek-llm", "tekken", "gpt-4o", "deepseek-v3"])
def test_no_long_run_ends_the_process_whatever_the_pre_tokeniser(kind, tmp_path):
    """llama.cpp's std::regex recurses per character: 32,000 letters would be a segmentation fault."""
    command = [sys.executable, "-c", DYING, str(tmp_path / "m.gguf"), kind]
    scripts = str(Path(make_gguf.__file__).parent)
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": scripts}, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


words = st.text(alphabet="ab1 \n.,'é字，<|>", max_size=60)


@given(st.lists(st.tuples(words, st.integers(1, 200)), max_size=6))
def test_cut_texts_are_whole_again_and_short_of_breath(parts):
    text = "".join(word * count for word, count in parts)
    found = list(pieces(text, ["<|a|>"]))
    assert "".join(found) == text
    assert not any(re.search(r"\s{4001}|\S{4001}", part) for part in found)


def test_looking_for_long_runs_is_linear():
    began = time.process_time()
    assert len(list(pieces(("a" * 3999 + " ") * 2500, ()))) == 1
    assert time.process_time() - began < 5


def test_no_special_token_is_cut(vocabulary):
    name = "<|im_end|>"
    for length in range(3985, 4005):
        text = "a" * length + name + "b" * 9000
        assert [t for t in vocabulary.tokenize(text, special=True) if vocabulary.is_end(t)] == [
            vocabulary.tokenize(name, special=True)[0]
        ]


def test_the_cut_is_where_a_word_ends_anyway(vocabulary):
    text = "word,more." * 3000
    parts = list(pieces(text, ()))
    assert len(parts) > 5
    assert all(re.match("[,.]", part) for part in parts[1:])
