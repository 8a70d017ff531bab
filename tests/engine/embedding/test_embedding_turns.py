# SPDX-License-Identifier: GPL-3.0-or-later
"""Who comes next: every text once, nobody left behind, no batch beyond its limits."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llama_orch.engine.embedding.job import Job, Turns

ROWS, SEQUENCES = 20, 4


def job(identity: int, lengths: list[int]) -> Job:
    texts = [np.ones(length, np.int32) for length in lengths]
    return Job(identity, texts, np.zeros((len(texts), 1), np.float32), lambda _: None)


@given(st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=12), min_size=1, max_size=8))
def test_every_text_once_within_the_limits(lengths):
    turns = Turns()
    jobs = [job(index, one) for index, one in enumerate(lengths)]
    for one in jobs:
        turns.add(one)
    seen: list[tuple[int, int]] = []
    while parts := turns.take(ROWS, SEQUENCES):
        sizes = [len(one.texts[index]) for one, index in parts]
        assert len(parts) <= SEQUENCES
        assert len(parts) == 1 or sum(sizes) <= ROWS
        seen += [(one.id, index) for one, index in parts]
    assert sorted(seen) == [(index, place) for index, one in enumerate(lengths) for place in range(len(one))]


def test_whoever_found_no_room_comes_first_next_time():
    turns = Turns()
    large, small = job(1, [18, 18]), job(2, [5] * 50)
    turns.add(small)
    turns.add(large)
    batches = [[one.id for one, _ in turns.take(ROWS, SEQUENCES)] for _ in range(4)]
    assert batches == [[2, 2, 2, 2], [1], [2, 2, 2, 2], [1]]


def test_each_gives_one_in_turn():
    turns = Turns()
    for identity in (1, 2, 3):
        turns.add(job(identity, [1] * 5))
    assert [one.id for one, _ in turns.take(ROWS, 4)] == [1, 2, 3, 1]
    turns.remove(next(iter(turns)))
    turns.remove(job(9, [1]))
    assert len(turns) == 2
