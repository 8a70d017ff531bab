# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is computed when: prompts and next tokens in separate streams, short prompts beside long ones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from core_bench import Bench, check_shape, request_of
from test_core_scheduler import ENDLESS, text_alone, tokens_of

from llama_orch.engine.composer import Work
from llama_orch.engine.records import Delta, Event, Finished, Started
from llama_orch.engine.sequence import Phase

Make = Callable[..., Bench]


def record(one: Bench) -> list[tuple[int, list[tuple[int, int]]]]:
    """Each batch: how many next tokens, and (request, rows) of each chunk of a prompt."""
    batches: list[tuple[int, list[tuple[int, int]]]] = []
    compose = one.scheduler._composer.compose

    def recording(*args: object) -> Work:
        work = compose(*args)  # type: ignore[arg-type]
        batches.append((len(work.decodes), [(s.id, count) for s, count in work.chunks]))
        return work

    one.scheduler._composer.compose = recording  # type: ignore[method-assign, assignment]
    return batches


@pytest.mark.parametrize("unified", [True, False])
def test_nobody_waits_for_the_few_tokens_of_a_chat_template(bench: Make, unified: bool):
    one = bench(unified=unified)
    ids = [one.add(request_of([5, 6, 7, 8, *tokens_of(i, 20)])) for i in range(4)]
    one.scheduler._admit()
    assert [s.phase for s in one.scheduler.active] == [Phase.PREFILL] * 4
    one.run()
    for number, i in enumerate(ids):
        check_shape(one.events[i])
        prompt = [5, 6, 7, 8, *tokens_of(number, 20)]
        assert "".join(e.text for e in one.events[i][1:-1]) == text_alone(bench, prompt)


def test_in_separate_streams_prompts_and_next_tokens_take_turns(bench: Make):
    one = bench(unified=False, prefill_budget=64, micro_batch=32, batch=256)
    first = one.add(request_of(tokens_of(1, 20), max_tokens=60, sampling=ENDLESS))
    one.step()
    batches = record(one)
    one.add(request_of(tokens_of(2, 200), max_tokens=1))
    for _ in range(12):
        one.step()
    assert all(not (decodes and chunks) for decodes, chunks in batches), batches
    kinds = "".join("d" if decodes else "p" for decodes, _ in batches)
    # 64 tokens of the prompt in two chunks, then a token for the other, until the prompt is done.
    assert kinds.startswith("ppdppdppdp"), kinds
    one.run()
    assert isinstance(one.events[first][-1], Finished)


def test_many_prompts_are_computed_in_full_passes_before_anybody_goes_on(bench: Make):
    one = bench(unified=False, prefill_budget=512)
    batches = record(one)
    for i in range(4):
        one.add(request_of(tokens_of(i, 100), max_tokens=8, sampling=ENDLESS))
    one.run()
    assert batches[:3] == [(0, [(1, 100), (2, 100), (3, 100)]), (0, [(4, 100)]), (4, [])]


def test_short_prompts_share_a_pass(bench: Make):
    one = bench(unified=False)
    batches = record(one)
    for i in range(4):
        one.add(request_of(tokens_of(i, 20), max_tokens=2, sampling=ENDLESS))
    one.step()
    assert sorted(batches[0][1]) == [(1, 20), (2, 20), (3, 20), (4, 20)]


@pytest.mark.parametrize("unified", [True, False])
def test_a_short_prompt_does_not_wait_for_the_whole_of_a_long_one(bench: Make, unified: bool):
    one = bench(unified=unified, context=2048, micro_batch=64, batch=256)
    batches = record(one)
    long = one.add(request_of(tokens_of(1, 1500), max_tokens=1))
    one.step()
    short = one.add(request_of(tokens_of(2, 30), max_tokens=1))
    one.run()
    order = [i for _, chunks in batches for i, _ in chunks]
    assert short in order[1:4], order
    assert isinstance(one.events[long][-1], Finished)


def test_a_long_prompt_is_not_put_off_for_good(bench: Make):
    one = bench(unified=False, context=2048, micro_batch=64, batch=256)
    long = one.add(request_of(tokens_of(1, 640), max_tokens=1))
    one.step()
    for turn in range(40):  # newcomers at every step
        one.add(request_of(tokens_of(100 + turn, 64), max_tokens=1))
        one.step()
        if isinstance((one.events[long] or [None])[-1], Finished):
            break
    assert turn < 25, "half of the passes are the oldest's"


def test_events_are_handed_out_before_the_next_computation_and_none_is_lost(bench: Make):
    one = bench(unified=False)
    seen: list[tuple[int, Event]] = []
    moments: list[str] = []
    decode = one.scheduler.batch.decode

    def decoding() -> int:
        moments.append("decode")
        return decode()

    def hand_out(events: list[tuple[int, Event]]) -> None:
        moments.append("events")
        seen.extend(events)

    one.scheduler.batch.decode = decoding  # type: ignore[method-assign]
    ids = [one.add(request_of(tokens_of(i, 100), max_tokens=5, sampling=ENDLESS)) for i in range(2)]
    for step in range(20):
        if step == 3:  # due events and a cancel: in their order
            seen.extend([*one.scheduler.take_due(), *one.scheduler.cancel({ids[0]})])
        seen.extend(one.scheduler.step(hand_out))
        if not one.scheduler.busy:
            break
    for identity in ids:
        check_shape([event for i, event in seen if i == identity])
    assert "events" in moments
    assert all(after == "decode" for before, after in pairwise(moments) if before == "events")


def test_the_time_in_the_queue_is_told(bench: Make):
    one = bench(unified=False, slots=1, context=256)
    ids = [one.add(request_of(tokens_of(i, 40), max_tokens=20, sampling=ENDLESS)) for i in range(2)]
    one.run()
    first, second = (event for i in ids for event in one.events[i] if isinstance(event, Started))
    assert 0 <= first.queue_seconds < second.queue_seconds


@pytest.mark.parametrize("unified", [True, False])
@pytest.mark.parametrize("code", [1, 2, -1])
def test_a_batch_that_failed_half_way_leaves_nothing_behind(bench: Make, unified: bool, code: int):
    one = bench(unified=unified)
    decode, failures = one.scheduler.batch.decode, [False, True, False, False, True]

    def failing() -> int:
        """Computed, and said not to be: what parts of a batch leave behind when a later part fails."""
        done = decode()
        return code if done == 0 and failures and failures.pop(0) else done

    one.scheduler.batch.decode = failing  # type: ignore[method-assign]
    ids = [one.add(request_of(tokens_of(i, 20 + 4 * i), max_tokens=6, sampling=ENDLESS)) for i in range(4)]
    one.run()  # compares the books with llama.cpp's after every step
    for number, i in enumerate(ids):
        check_shape(one.events[i])
        if isinstance(one.events[i][-1], Finished):
            said = "".join(e.text for e in one.events[i] if isinstance(e, Delta))
            assert said == text_alone(bench, tokens_of(number, 20 + 4 * number), max_tokens=6, sampling=ENDLESS)
    failures.clear()
    again = [one.add(request_of(tokens_of(50 + i, 30), max_tokens=6, sampling=ENDLESS)) for i in range(4)]
    one.run()
    assert all(isinstance(one.events[i][-1], Finished) for i in again)
