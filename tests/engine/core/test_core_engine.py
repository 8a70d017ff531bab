# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as a worker uses it: submit, receive, cancel, close, from several threads."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest
from core_bench import GREEDY, SECONDS, Receiver, Running, check_shape, request_of

from llama_orch.engine.engine import Engine
from llama_orch.engine.records import Delta, EngineOptions, Failed, Finished, Request, Sampling, Started
from llama_orch_utils.errors import BadRequest, ContextTooLong, EngineFailed

ENDLESS = Sampling(temperature=0, logit_bias={509: -1000.0, 511: -1000.0})
MESSAGES = [{"role": "user", "content": "hello world"}]


def tokens_of(seed: int, count: int) -> list[int]:
    return [random.Random(f"{seed}/{i}").randrange(500) for i in range(count)]


def test_a_conversation_from_messages_to_text(start):
    running: Running = start()
    engine = running.engine
    tokens = engine.prompt_tokens(MESSAGES)
    assert engine.detokenize(engine.tokenize("hello world")) == "hello world"
    assert "hello world" in engine.render(MESSAGES)
    identity = running.ask(tokens, sampling=ENDLESS, max_tokens=20)
    end = running.received.wait(identity)
    events = running.received.events[identity]
    check_shape(events)
    assert events[0] == Started(len(tokens), 0)
    assert end == Finished("length", len(tokens), 0, 20)
    assert sum(event.tokens for event in events if isinstance(event, Delta)) == 20


def test_the_card_and_the_dimensions(start):
    engine = start().engine
    assert (engine.model.architecture, engine.model.vocabulary, engine.model.context_train) == ("llama", 512, 4096)
    assert (engine.context, engine.slots, engine.warnings, engine.threads) == (512, 4, (), 1)
    assert engine.model.parameters > 400_000


def test_a_context_beyond_the_training_is_a_warning(start):
    assert "4096" in start(context=8192, slots=1).engine.warnings[0]


@pytest.mark.parametrize("unified", [True, False])
@pytest.mark.parametrize("sampling", [Sampling(temperature=0), Sampling(temperature=1.5, seed=7)])
def test_the_same_seed_and_prompt_alone_give_the_same_answer_cold_and_warm(start, unified, sampling):
    tokens = tokens_of(1, 100)
    cold = start(unified=unified).answer(tokens, sampling=sampling, max_tokens=60)[0]
    running = start(unified=unified)
    assert running.answer(tokens, sampling=sampling, max_tokens=60)[0] == cold
    again, end = running.answer(tokens, sampling=sampling, max_tokens=60)
    assert (again, end.cached_tokens) == (cold, 100)
    running.answer(tokens_of(1, 90) + tokens_of(2, 20), max_tokens=30)  # shares 90 tokens, and leaves its own
    assert running.answer(tokens, sampling=sampling, max_tokens=60)[0] == cold
    uncached, end = running.answer(tokens, sampling=sampling, max_tokens=60, cache=False)
    assert (uncached, end.cached_tokens) == (cold, 0)


def test_another_seed_gives_another_answer(start):
    running = start()
    answers = {running.answer(tokens_of(1, 30), sampling=Sampling(temperature=2, seed=s))[0] for s in range(4)}
    assert len(answers) > 1


def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(start):
    running = start(context=256)
    with pytest.raises(ContextTooLong) as refused:
        running.ask(tokens_of(1, 257))
    assert (refused.value.limit, refused.value.asked) == (256, 257)
    assert "257" in str(refused.value)
    assert "256" in str(refused.value)
    assert running.answer(tokens_of(1, 256), sampling=ENDLESS)[1].output_tokens == 1
    assert running.engine.snapshot().counters.requests == 1


@pytest.mark.parametrize(
    ("tokens", "options"),
    [
        ([], {}),
        ([512], {}),
        ([-1], {}),
        ([2**40], {}),
        ([2**70], {}),
        (["a"], {}),
        ([[1, 2], [3, 4]], {}),
        ([1], {"max_tokens": 0}),
        ([1], {"max_tokens": -5}),
        ([1], {"stop": ("",)}),
        ([1], {"sampling": Sampling(temperature=float("nan"))}),
        ([1], {"sampling": Sampling(logit_bias={512: 1.0})}),
        ([1], {"sampling": Sampling(grammar="root ::= (")}),
        ([1], {"sampling": Sampling(grammar="root ::= nowhere")}),
        ([1], {"sampling": Sampling(grammar='other ::= "a"')}),
        ([1], {"sampling": Sampling(grammar='root ::= root "a" | "b"')}),
    ],
)
def test_what_cannot_be_is_refused_at_once(start, tokens, options):
    running = start()
    with pytest.raises(BadRequest):
        running.ask(tokens, **options)
    assert running.answer([1, 2, 3])[1].output_tokens > 0
    assert running.engine.snapshot().counters.requests == 1


def test_stop_strings_end_the_answer_and_are_not_in_it(start):
    running = start()
    whole, _ = running.answer(tokens_of(3, 20), sampling=ENDLESS, max_tokens=40)
    stop = whole[len(whole) // 2 : len(whole) // 2 + 4]
    text, end = running.answer(tokens_of(3, 20), sampling=ENDLESS, max_tokens=40, stop=(stop,))
    assert (end.reason, end.stop) == ("stop", stop)
    assert text == whole[: whole.index(stop)]


def test_an_end_of_turn_token_ends_with_stop(start):
    sampling = Sampling(temperature=0, logit_bias={511: 1000.0})
    text, end = start().answer(tokens_of(4, 20), sampling=sampling)
    assert (text, end.reason, end.stop, end.output_tokens) == ("", "stop", None, 1)


def test_a_grammar_is_kept(start):
    sampling = Sampling(temperature=0, grammar='root ::= "yes" | "no"')
    text, end = start().answer(tokens_of(5, 20), sampling=sampling, max_tokens=20)
    assert text in ("yes", "no")
    assert end.reason == "stop"


def test_logprobs_are_handed_on_with_their_text(start):
    running = start()
    identity = running.ask(tokens_of(6, 20), sampling=Sampling(temperature=0, logprobs=2), max_tokens=5)
    end = running.received.wait(identity)
    found = [t for event in running.received.events[identity] if isinstance(event, Delta) for t in event.logprobs]
    assert len(found) == end.output_tokens - (end.reason == "stop")
    assert all(t.logprob <= 0 and len(t.top) == 2 for t in found)


def test_one_delivery_per_step_holds_all_its_events(start):
    running = start()
    ids = [running.ask(tokens_of(10 + i, 20), sampling=ENDLESS, max_tokens=30) for i in range(4)]
    for identity in ids:
        running.received.wait(identity)
    assert running.received.calls <= running.engine.snapshot().counters.steps + 1


def test_many_threads_submit_and_cancel(start):
    running = start(slots=3)
    ended: list[int] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for turn in range(6):
            identity = running.ask(tokens_of(chance.randrange(4), chance.randrange(1, 80)), max_tokens=20)
            if chance.random() < 0.4:
                running.engine.cancel(identity)
                running.engine.cancel(identity)
            running.received.wait(identity)
            ended.append(turn)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len(ended) == 30
    for events in running.received.events.values():
        check_shape(events)
    snapshot = running.engine.snapshot()
    assert (snapshot.active, snapshot.queued, snapshot.counters.requests) == (0, 0, 30)
    assert running.engine._live == set()


def test_cancelling_while_queued_in_prefill_and_in_decode(start):
    running = start(slots=1)
    first = running.ask(tokens_of(20, 200), sampling=ENDLESS, max_tokens=300)
    queued = running.ask(tokens_of(21, 10))
    running.engine.cancel(queued)
    assert running.received.wait(queued) == Finished("cancelled", 10, 0, 0)
    running.received.until(lambda: any(isinstance(event, Delta) for event in running.received.events.get(first, [])))
    running.engine.cancel(first)
    end = running.received.wait(first)
    assert isinstance(end, Finished)
    assert (end.reason, end.output_tokens < 300) == ("cancelled", True)
    running.engine.cancel(first)
    running.engine.cancel(999)
    prefill = running.ask(tokens_of(22, 500))
    running.engine.cancel(prefill)
    assert running.received.wait(prefill).reason == "cancelled"
    assert running.answer(tokens_of(20, 20))[1].output_tokens > 0


def test_cancelling_interrupts_the_computation_of_a_long_prompt(start):
    running = start(context=4096, slots=1)
    for _ in range(50):
        before = running.engine.snapshot().counters.rows
        identity = running.ask(tokens_of(23, 2000), cache=False)
        deadline = time.monotonic() + SECONDS
        while not running.engine._scheduler._in_flight and time.monotonic() < deadline:
            time.sleep(0)
        running.engine.cancel(identity)
        running.received.wait(identity)
        check_shape(running.received.events[identity])
        if running.engine.snapshot().counters.rows == before:
            return
    raise AssertionError("no computation was ever interrupted")


def test_cancelling_one_does_not_touch_another(start):
    running = start()
    alone, _ = start().answer(tokens_of(30, 40), sampling=ENDLESS, max_tokens=100)
    kept = running.ask(tokens_of(30, 40), sampling=ENDLESS, max_tokens=100)
    victim = running.ask(tokens_of(31, 40), sampling=ENDLESS, max_tokens=300)
    running.received.until(lambda: len(running.received.events.get(victim, [])) > 5)
    running.engine.cancel(victim)
    assert running.received.wait(kept).output_tokens == 100
    assert running.received.text(kept) == alone
    assert running.received.wait(victim).reason == "cancelled"


def test_closing_fails_what_is_pending_and_refuses_what_comes(start):
    running = start(slots=1)
    ids = [running.ask(tokens_of(40 + i, 100), sampling=ENDLESS, max_tokens=400) for i in range(3)]
    running.engine.close()
    for identity in ids:
        end = running.received.events[identity][-1]
        assert isinstance(end, Failed)
        assert isinstance(end.error, EngineFailed)
        check_shape(running.received.events[identity])
    with pytest.raises(EngineFailed):
        running.ask([1, 2, 3])
    running.engine.close()


def test_closing_interrupts_a_long_prompt(tiny_gguf: Path):
    received = Receiver()
    with Engine.load(tiny_gguf, EngineOptions(context=4096, slots=1), received) as engine:
        engine.submit(request_of(tokens_of(50, 4000)))
    assert isinstance(received.events[1][-1], Failed)


def test_a_receiver_that_raises_ends_no_request(tiny_gguf: Path, capsys):
    received = Receiver()

    def faulty(events):
        received(events)
        raise ZeroDivisionError

    with Engine.load(tiny_gguf, EngineOptions(context=256, slots=1), faulty) as engine:
        identity = engine.submit(Request([1, 2, 3], GREEDY, max_tokens=5))
        assert isinstance(received.wait(identity), Finished)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_load_progress_reaches_one(tiny_gguf: Path):
    seen: list[float] = []
    Engine.load(tiny_gguf, EngineOptions(context=256), Receiver(), seen.append).close()
    assert seen[-1] == 1.0
    assert seen == sorted(seen)


def test_the_snapshot_counts(start):
    running = start()
    prompt = tokens_of(60, 100)
    running.answer(prompt, sampling=ENDLESS, max_tokens=10)
    running.answer(prompt, sampling=ENDLESS, max_tokens=10)
    running.engine.close()
    snapshot = running.engine.snapshot()
    counters = snapshot.counters
    assert (counters.requests, counters.prompt_tokens, counters.cached_tokens) == (2, 200, 100)
    assert counters.output_tokens == 20
    assert counters.steps >= 10
    assert snapshot.cells - snapshot.cells_free == snapshot.cached_tokens == 109


@pytest.mark.parametrize("unified", [True, False])
def test_the_demo_answers_alike_alone_warm_and_in_company(start, demo_gguf: Path, unified):
    questions = ["What is the Public Tap?", "What is a credit?", "How do I stop a worker?", "hello"]
    options = {"path": demo_gguf, "context": 256, "unified": unified}

    def tokens(running: Running, question: str) -> list[int]:
        return running.engine.prompt_tokens([{"role": "user", "content": question}])

    alone = []
    for question in questions:
        running = start(**options)
        alone.append(running.answer(tokens(running, question), max_tokens=60)[0])
        running.engine.close()
    running = start(**options)
    ids = [running.ask(tokens(running, question), max_tokens=60) for question in questions]
    for identity in ids:
        running.received.wait(identity)
    assert [running.received.text(identity) for identity in ids] == alone
    assert [running.answer(tokens(running, question), max_tokens=60)[0] for question in questions] == alone


def test_a_defect_of_the_scheduler_fails_everybody_and_is_known(start, monkeypatch):
    running = start()
    assert running.engine.failure is None
    running.engine._scheduler.batch._sequences = -1  # every batch breaks its limits now
    identity = running.ask(tokens_of(70, 20))
    end = running.received.wait(identity)
    assert isinstance(end, Failed)
    assert isinstance(running.engine.failure, EngineFailed)
    with pytest.raises(EngineFailed):
        running.ask([1, 2, 3])
