# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts in texts full of names: nothing lost, no section too full, the same tokens."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from llama_orch.engine.many_names import MOST_NAMES, finder, sections

NAMES = ["<|im_start|>", "<|im_end|>", "<s>", "</s>", "<|", "[SEP]", "[SEP]x", "a.b*c"]
PATTERN = finder(NAMES)


@given(st.lists(st.sampled_from([*NAMES, " ", "a", "<", "|", "é", "\n"]), max_size=400).map("".join))
def test_nothing_is_lost_and_no_section_is_too_full(text):
    found = list(sections(text, PATTERN))
    assert "".join(found) == text
    for part in found:
        assert len(PATTERN.findall(part)) <= MOST_NAMES
    for part in found[1:]:
        assert PATTERN.match(part)


def test_longest_first_and_special_characters():
    assert PATTERN.findall("[SEP]x[SEP]y a.b*c aXb*c <|im_end|><|x") == ["[SEP]x", "[SEP]", "a.b*c", "<|im_end|>", "<|"]
    assert finder([]).search("anything") is None


def test_no_section_begins_with_a_name_that_swallows():
    text = "<s> <|im_end|>" * 100
    parts = list(sections(text, PATTERN, {"<s>"}))
    assert "".join(parts) == text
    assert len(parts) > 2
    assert not any(part.startswith("<s>") for part in parts[1:])


def test_the_tokens_are_the_same(embedders):
    for name in ("embed-last", "embed-cls"):
        vocabulary = embedders(name).vocabulary
        pattern = finder(vocabulary._names)
        for text in ("<|im_end|>hello world " * 500, "[SEP] [CLS]hello[SEP]" * 300, "<|im_start|>" * 777):
            whole = vocabulary.tokenize(text, special=True, add_bos=False)
            cut = [
                t for part in sections(text, pattern) for t in vocabulary.tokenize(part, special=True, add_bos=False)
            ]
            assert cut == whole


def test_a_large_text_takes_little_time():
    many = finder([f"<SPECIAL_{number}>" for number in range(1000)])
    for text in ("<SPECIAL_999>" * 300_000, "<" * 4_000_000, "<SPECIAL_" * 400_000):
        begun = time.process_time()
        assert sum(map(len, sections(text, many))) == len(text)
        assert time.process_time() - begun < 10
