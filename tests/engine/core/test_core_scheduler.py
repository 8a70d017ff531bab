# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduler step by step: sharing, preemption, admission, and what every schedule must keep."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from core_bench import Bench, check_shape, request_of, text_of

from llama_orch.engine.records import Event, Failed, Finished, Sampling, Started
from llama_orch.engine.sequence import Phase

Make = Callable[..., Bench]
LAYOUTS = [True, False]
TRACED = Sampling(temperature=0, logprobs=0)
ENDLESS = Sampling(temperature=0, logit_bias={509: -1000.0, 511: -1000.0})  # never an end-of-turn token
TIE = 0.02
"""Two tokens this close (logarithm of probability) may change places: in a batch the last bits differ from alone."""


def tokens_of(seed: int, count: int) -> list[int]:
    return [random.Random(f"{seed}/{i}").randrange(500) for i in range(count)]


def text_alone(make: Make, tokens: list[int], **options: object) -> str:
    bench = make()
    identity = bench.add(request_of(tokens, **options))
    bench.run()
    return text_of(bench.events[identity])


def end_of(events: list[Event]) -> Finished:
    check_shape(events)
    assert isinstance(events[-1], Finished), events
    return events[-1]


@pytest.mark.parametrize("unified", LAYOUTS)
def test_requests_admitted_together_compute_a_common_prefix_once(bench: Make, unified: bool):
    one = bench(unified=unified)
    prefix = tokens_of(1, 128)
    ids = [one.add(request_of(prefix + tokens_of(10 + i, 8))) for i in range(4)]
    one.run()
    decoded = sum(end_of(one.events[i]).output_tokens - 1 for i in ids)  # the last token is not computed
    assert one.scheduler.counters.rows == 128 + 4 * 8 + decoded
    assert [end_of(one.events[i]).cached_tokens for i in ids] == [0, 128, 128, 128]
    if unified:
        assert one.scheduler.residency.capacity - one.scheduler.residency.free_cells == 128 + 4 * 8 + decoded


@pytest.mark.parametrize("unified", LAYOUTS)
def test_sharing_a_prefix_does_not_change_the_answers(bench: Make, unified: bool):
    prompts = [tokens_of(1, 128) + tokens_of(10 + i, 8) for i in range(4)]
    one = bench(unified=unified)
    ids = [one.add(request_of(prompt)) for prompt in prompts]
    one.run()
    assert [text_of(one.events[i]) for i in ids] == [text_alone(bench, prompt) for prompt in prompts]


@pytest.mark.parametrize("unified", LAYOUTS)
def test_a_follower_whose_leader_is_cancelled_computes_for_itself(bench: Make, unified: bool):
    one = bench(unified=unified, prefill_budget=16, batch=32, micro_batch=32)
    prefix = tokens_of(2, 128)
    leader = one.add(request_of([*prefix, 1]))
    follower = one.add(request_of([*prefix, 2]))
    one.step()
    assert [s.phase for s in one.scheduler.active] == [Phase.PREFILL, Phase.FOLLOWING]
    one.cancel(leader)
    one.run()
    assert end_of(one.events[leader]).reason == "cancelled"
    assert text_of(one.events[follower]) == text_alone(bench, [*prefix, 2])


@pytest.mark.parametrize("unified", LAYOUTS)
def test_the_next_turn_finds_its_cells(bench: Make, unified: bool):
    one = bench(unified=unified)
    first = tokens_of(3, 60)
    identity = one.add(request_of(first, sampling=Sampling(temperature=0, logprobs=0)))
    one.run()
    said = [t.token for e in one.events[identity] if hasattr(e, "logprobs") for t in e.logprobs]
    assert len(said) == 12
    turn = one.add(request_of([*first, *said, *tokens_of(4, 10)]))
    one.run()
    assert end_of(one.events[turn]).cached_tokens == 60 + 11


def test_conversations_leave_in_order_of_their_last_use(bench: Make):
    one = bench(cells=512)
    prompts = [tokens_of(20 + i, 150) for i in range(3)]
    for prompt in [*prompts, prompts[1]]:
        one.add(request_of(prompt, max_tokens=1))
        one.run()
    one.add(request_of(tokens_of(30, 150), max_tokens=1))  # 600 of 512 cells: one has to go
    one.run()
    cached = []
    for prompt in (prompts[1], prompts[2], prompts[0]):
        identity = one.add(request_of(prompt, max_tokens=1))
        one.run()
        cached.append(end_of(one.events[identity]).cached_tokens)
    assert cached == [150, 150, 0]


def test_without_cache_nothing_is_used_and_nothing_left(bench: Make):
    one = bench()
    for _ in range(2):
        identity = one.add(request_of(tokens_of(5, 60), cache=False))
        one.run()
        assert end_of(one.events[identity]).cached_tokens == 0
    assert one.scheduler.residency.cached_tokens == 0
    assert one.scheduler.residency.free_cells == one.scheduler.residency.capacity


def test_the_youngest_is_preempted_and_resumes_without_repeating(bench: Make):
    one = bench(cells=256, slots=3)
    prompts = [tokens_of(40 + i, 20) for i in range(3)]
    ids = [one.add(request_of(prompt, max_tokens=100, sampling=ENDLESS)) for prompt in prompts]
    one.run()
    assert one.scheduler.counters.preemptions > 0
    for identity, prompt in zip(ids, prompts, strict=True):
        assert end_of(one.events[identity]).output_tokens == 100
        assert text_of(one.events[identity]) == text_alone(bench, prompt, max_tokens=100, sampling=ENDLESS)


def test_a_request_waits_until_its_prompt_and_reserve_fit(bench: Make):
    one = bench(cells=256)
    first = one.add(request_of(tokens_of(50, 150), max_tokens=20))
    second = one.add(request_of(tokens_of(51, 100), max_tokens=20))
    one.step()
    assert [s.id for s in one.scheduler.active] == [first]
    assert [s.id for s in one.scheduler.queue] == [second]
    one.run()
    assert one.scheduler.counters.preemptions == 0
    assert end_of(one.events[second]).output_tokens == 20


def test_generation_ends_with_length_where_the_context_ends(bench: Make):
    one = bench()
    for unified_prompt in (250, 256):
        identity = one.add(request_of(tokens_of(60, unified_prompt), max_tokens=None, sampling=ENDLESS))
        one.run()
        end = end_of(one.events[identity])
        assert end.reason == "length"
        assert end.output_tokens == 256 - unified_prompt + 1


def test_when_llama_cpp_has_no_cells_although_the_ledger_says_so(bench: Make):
    one = bench(cells=256, believed=768, slots=3)
    one.add(request_of(tokens_of(70, 100), max_tokens=1))  # stays as a waiting conversation, to be evicted first
    one.run()
    prompts = [tokens_of(71 + i, 40) for i in range(3)]
    ids = [one.add(request_of(prompt, max_tokens=90, sampling=ENDLESS)) for prompt in prompts]
    one.run()
    assert one.scheduler.counters.preemptions > 0
    for identity, prompt in zip(ids, prompts, strict=True):
        assert text_of(one.events[identity]) == text_alone(bench, prompt, max_tokens=90, sampling=ENDLESS)


def test_a_batch_that_llama_cpp_refuses_fails_its_requests_and_no_other(bench: Make):
    one = bench(slots=1)
    broken = one.add(request_of(tokens_of(80, 20)))
    waiting = one.add(request_of(tokens_of(81, 20)))
    one.scheduler.queue[0].tokens[3] = 100_000  # beyond the vocabulary: what `submit` never lets through
    one.run()
    assert isinstance(one.events[broken][-1], Failed)
    assert "-1" in str(one.events[broken][-1].error)
    assert end_of(one.events[waiting]).output_tokens == 12


@pytest.mark.parametrize("unified", LAYOUTS)
def test_an_aborted_batch_is_computed_again(bench: Make, unified: bool):
    one = bench(unified=unified)
    identity = one.add(request_of(tokens_of(90, 100)))
    one.context.abort()
    one.step()
    assert one.events[identity] == []
    assert [s.id for s in one.scheduler.queue] == [identity]
    one.run()
    assert text_of(one.events[identity]) == text_alone(bench, tokens_of(90, 100))


def test_streams_of_running_requests_become_neighbours(bench: Make):
    one = bench(unified=False, slots=4)
    ids = [one.add(request_of(tokens_of(100 + i, 20), max_tokens=40)) for i in range(4)]
    for _ in range(5):
        one.step()
    one.cancel(ids[1], ids[2])
    one.step()
    active = sorted(s.resident.id for s in one.scheduler.active if s.resident)
    assert active[1] - active[0] == 1
    one.run()
    for i in (0, 3):
        assert text_of(one.events[ids[i]]) == text_alone(bench, tokens_of(100 + i, 20), max_tokens=40)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("unified", LAYOUTS)
def test_any_schedule_keeps_the_books_and_the_answers(bench: Make, unified: bool, seed: int):
    print("seed", seed)
    chance = random.Random(seed)
    one = bench(unified=unified, cells=512 if unified else None, batch=64, micro_batch=32, prefill_budget=24)
    alone = bench(unified=False, slots=1)
    prefixes = [tokens_of(1000 + i, chance.choice([5, 40, 90])) for i in range(3)]
    asked: dict[int, tuple[list[int], int]] = {}
    cancelled: set[int] = set()
    for _ in range(100):
        if chance.random() < 0.25:
            prompt = [*chance.choice(prefixes), *tokens_of(chance.randrange(6), chance.randrange(1, 60))]
            limit = chance.choice([1, 5, 30, 90])
            identity = one.add(request_of(prompt, max_tokens=limit, cache=chance.random() < 0.8, sampling=TRACED))
            asked[identity] = (prompt, limit)
        if asked and chance.random() < 0.05:
            victim = chance.choice(list(asked))
            if not any(isinstance(event, Finished) for event in one.events[victim]):
                cancelled.add(victim)
            one.cancel(victim)
            assert all(s.id != victim for s in (*one.scheduler.active, *one.scheduler.queue))
        one.step()
    one.run()
    for identity, (prompt, limit) in asked.items():
        end = end_of(one.events[identity])
        assert (end.reason == "cancelled") == (identity in cancelled)
        if identity in cancelled:
            continue
        assert isinstance(one.events[identity][0], Started)
        said = one.tokens(identity)
        reference = alone.add(request_of(prompt, max_tokens=limit, cache=False, sampling=TRACED))
        alone.run()
        expected = alone.tokens(reference)
        if said != expected:
            fork = next((i for i, (a, b) in enumerate(zip(said, expected, strict=False)) if a != b), None)
            assert fork is not None, f"seed {seed}, request {identity}: one answer is the other's beginning"
            assert alone.margin([*prompt, *expected[:fork]], said[fork]) < TIE, f"seed {seed}, request {identity}"


def test_one_failing_sampler_ends_only_its_request(bench: Make):
    one = bench()
    forbidden = Sampling(temperature=0, logit_bias=dict.fromkeys(range(512), -1000.0))
    bad = one.add(request_of(tokens_of(110, 20), sampling=forbidden))
    good = one.add(request_of(tokens_of(111, 20)))
    one.run()
    assert isinstance(one.events[bad][-1], Failed)
    assert end_of(one.events[good]).output_tokens == 12


def test_a_request_that_cannot_get_on_alone_fails_instead_of_going_round(bench: Make):
    one = bench(slots=2)
    one.scheduler.batch.capacity = 0  # no row fits
    first, second = (one.add(request_of(tokens_of(120 + i, 20))) for i in range(2))
    one.run()
    assert isinstance(one.events[first][-1], Failed)
    assert isinstance(one.events[second][-1], Failed)
