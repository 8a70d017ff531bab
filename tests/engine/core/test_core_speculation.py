# SPDX-License-Identifier: GPL-3.0-or-later
"""A draft guesses, the model decides: the same answers, in fewer passes, and no cell left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
from core_bench import Bench, Running, check_shape, request_of

from llama_orch.engine.engine import Engine
from llama_orch.engine.records import EngineOptions, Finished, Sampling
from llama_orch.engine.speculation import Draft, Speculation
from llama_orch.engine.speculation.pace import Pace
from llama_orch_utils.errors import EngineFailed

Start = Callable[..., Running]
ENDLESS = Sampling(temperature=0, logit_bias={509: -1000.0, 511: -1000.0})  # never an end-of-turn token


def prompt(number: int, length: int = 20) -> list[int]:
    return [10 + (number * 31 + place * 7) % 200 for place in range(length)]


def hurry(running: Running) -> None:
    """Guess from the first token on: what is tried is whether it is right, not whether it pays."""
    speculation = running.engine._scheduler.speculation
    assert speculation is not None
    speculation._draft.sure = 0.0
    speculation.pace._plain_left = 0
    speculation.pace.add_round = lambda seconds, tokens: None  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def other_gguf(tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path) -> Path:
    """Other weights over the same vocabulary: its guesses are wrong."""
    path = tmp_path_factory.mktemp("draft") / "other.gguf"
    shutil.copy(tiny_gguf, path)
    for tensor in gguf.GGUFReader(path, "r+").tensors:
        if tensor.name.endswith("ffn_down.weight"):
            tensor.data[:] = tensor.data[::-1].copy()
    return path


@pytest.mark.parametrize("unified", [True, False])
@pytest.mark.parametrize("right", [True, False])
def test_the_answers_are_the_same_with_a_draft(
    start: Start, tiny_gguf: Path, other_gguf: Path, unified: bool, right: bool
):
    alone = start(unified=unified)
    helped = start(unified=unified, draft=str(tiny_gguf if right else other_gguf), draft_tokens=4)
    hurry(helped)
    for number in range(6):
        assert helped.answer(prompt(number), max_tokens=40) == alone.answer(prompt(number), max_tokens=40)
    counters = helped.engine.snapshot().counters
    if right:
        assert counters.accepted_tokens > 0.9 * counters.proposed_tokens > 0
        assert counters.steps < alone.engine.snapshot().counters.steps * 0.6
    else:
        assert 0 <= counters.accepted_tokens < 0.5 * counters.proposed_tokens
    same = 0
    for number in range(6):
        asked = {"sampling": Sampling(temperature=0.7, seed=number), "max_tokens": 40}
        same += helped.answer(prompt(number), **asked) == alone.answer(prompt(number), **asked)
    assert same >= 3, "rows of one batch differ in the last bits, and flat distributions are drawn from"
    for events in helped.received.events.values():
        check_shape(events)


def test_a_conversation_goes_on_from_cells_that_were_guessed(start: Start, tiny_gguf: Path):
    alone, helped = start(), start(draft=str(tiny_gguf))
    hurry(helped)
    text = {}
    for running in (alone, helped):
        said, end = running.answer(prompt(3), max_tokens=30)
        tokens = [*prompt(3), *running.engine.tokenize(said), *prompt(4, 8)]
        text[running is helped] = running.answer(tokens, max_tokens=30)
        assert end.reason == "length"
    assert text[True] == text[False]


def test_the_books_are_right_whatever_is_guessed(bench: Callable[..., Bench], tiny_gguf: Path, other_gguf: Path):
    for path in (tiny_gguf, other_gguf):
        for unified in (True, False):
            one = bench(unified=unified, draft=str(path), draft_tokens=3)
            draft = Draft.load(path, one.model, one.context.dimensions, EngineOptions())
            draft.sure = 0.0
            one.scheduler.speculation = Speculation(draft, 3, one.scheduler.counters)
            one.scheduler.speculation.pace.pays = lambda: True  # type: ignore[method-assign]
            for turn in range(3):  # alone, and with others who come meanwhile
                one.add(request_of(prompt(turn), max_tokens=30, sampling=ENDLESS))
                for _ in range(7):
                    one.step()  # compares the books with llama.cpp's
            one.run()
            assert all(isinstance(events[-1], Finished) for events in one.events.values())
            assert one.scheduler.counters.proposed_tokens > 0
            draft.close()


def test_an_answer_never_gets_longer_than_it_may(start: Start, tiny_gguf: Path):
    helped = start(draft=str(tiny_gguf), draft_tokens=8, context=256)
    hurry(helped)
    for most in (1, 2, 3, 9):
        assert helped.answer(prompt(1), max_tokens=most, sampling=ENDLESS)[1].output_tokens == most
    end = helped.answer(prompt(2, 250), sampling=ENDLESS, max_tokens=None)[1]
    assert (end.reason, end.prompt_tokens + end.output_tokens) == ("length", 257)


def test_a_draft_with_another_vocabulary_is_refused(tiny_gguf: Path, demo_gguf: Path):
    with pytest.raises(EngineFailed, match="another vocabulary"):
        Engine.load(tiny_gguf, EngineOptions(context=256, draft=str(demo_gguf)), lambda events: None)


def test_guessing_rests_where_it_does_not_pay():
    pace = Pace()
    assert not pace.pays()
    for _ in range(4):
        pace.add_plain(0.010)
    assert pace.pays()
    while pace.pays():
        pace.add_round(0.030, 2)  # 15 ms a token
    for _ in range(64):
        pace.add_plain(0.010)
    assert pace.pays()
    for _ in range(40):
        pace.add_round(0.020, 4)
    assert pace.pays()


def paced() -> Pace:
    pace = Pace()
    for _ in range(4):
        pace.add_plain(0.010)
    return pace


@pytest.mark.parametrize("cost", [1.2, 2.0, 7.0])
def test_finding_out_that_a_draft_is_never_sure_has_a_bounded_price(cost: float):
    """In the time of plain tokens; a busy machine makes each round dearer, not the trial."""
    pace, lost = paced(), 0.0
    while pace.pays():
        pace.add_round(0.010 * cost, 1)
        lost += cost - 1
    assert lost <= max(3.0, cost)


def test_one_dear_round_of_a_good_draft_is_forgiven():
    pace = paced()
    for number in range(30):
        pace.add_round(0.060 if number == 1 else 0.016, 1 + pace.most(4))
    assert pace.pays()


def test_a_trial_begins_with_one_guess():
    pace = paced()
    asked: list[int] = []
    for _ in range(6):
        asked.append(pace.most(6))
        pace.add_round(0.012, asked[-1] + 1)
    assert asked == [1, 2, 4, 6, 6, 6]


def test_reading_long_prompts_for_short_answers_is_given_up():
    pace, answers = paced(), 0
    while pace.pays():
        pace.add_reading(0.500)  # 50 plain tokens
        for _ in range(4):
            pace.add_round(0.012, 2)
        answers += 1
        assert answers < 20
    assert answers > 2
