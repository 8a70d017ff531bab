# SPDX-License-Identifier: GPL-3.0-or-later
"""Thoughts that have had their budget: the mark at their end is written for the model."""

from __future__ import annotations

import json
from types import SimpleNamespace

import marked_model
import numpy as np
import pytest
from seeds import fresh_seed

from llama_orch import formats
from llama_orch.formats import Argued, Thought, ToolSpec

SEED = fresh_seed()
BUDGET = 20
PING = ToolSpec("ping", "", {"type": "object", "properties": {}, "additionalProperties": False}, strict=True)


@pytest.fixture(params=["plain", "marked"])
def vocabulary(request):
    return request.getfixturevalue(request.param)


def limited(form, opened, held=None):
    settings = {} if held is None else held.settings()
    return SimpleNamespace(
        settings=lambda: settings | {"most_thought": BUDGET, "thoughts": formats.thoughts(form, opened)}
    )


@pytest.mark.parametrize("choice", [None, "auto", "required"])
@pytest.mark.parametrize(
    ("name", "begun"), [("hermes", True), ("hermes", False), ("harmony", True), ("harmony", False)]
)
def test_a_thought_ends_when_its_budget_is_spent(vocabulary, forms, name, begun, choice):
    form, rng = forms[name], np.random.default_rng(SEED)
    mark = "<|start|>assistant<|channel|>analysis<|message|>" if form.channels else "<think>\n"
    close = "<|end|>" if form.channels else "</think>"
    opened, start = (mark, "") if begun else ("", mark.removeprefix("<|start|>assistant"))
    held = choice and formats.grammar(form, [PING], choice, False, True, opened=opened)
    answer, _ = marked_model.speak(
        vocabulary, form, limited(form, opened, held or None), rng, start=start, limit=120, eager=-20.0
    )
    parser = formats.Parser(form, tools={"ping": {}}, thinking=True, opened=opened)
    parts = parser.push(answer) + parser.flush()
    thought = "".join(part.text for part in parts if isinstance(part, Thought))
    assert close in answer, (answer, SEED)  # a random model may end its thought before it has begun
    longest = max(len(vocabulary.piece(token)) for token in range(vocabulary.n_tokens))
    assert len(thought.encode()) <= (BUDGET + 4) * longest, (thought, SEED)
    arguments = "".join(part.fragment for part in parts if isinstance(part, Argued))
    assert choice is not None or not arguments
    assert arguments.strip()[:1] in ("{", ""), (answer, SEED)


def test_the_budget_is_counted_in_tokens_and_is_of_all_thoughts_together(plain, forms):
    form, rng = forms["hermes"], np.random.default_rng(SEED)
    start = "<think>" + "a b " * 7 + "</think>Well.<think>" + " c d" * 30
    answer, _ = marked_model.speak(plain, form, limited(form, ""), rng, start=start, limit=110, eager=-20.0)
    parser = formats.Parser(form, tools=None, thinking=True, opened="")
    thought = "".join(part.text for part in parser.push(answer) + parser.flush() if isinstance(part, Thought))
    spent = len(plain.tokenize(thought, special=False, add_bos=False))
    assert answer.count("</think>") >= 2, (answer, SEED)
    assert BUDGET - 12 <= spent <= BUDGET + 4, (answer, SEED)


def test_a_thought_within_its_budget_is_left_alone(plain, forms):
    form, rng = forms["hermes"], np.random.default_rng(SEED)
    answer, _ = marked_model.speak(
        plain, form, limited(form, ""), rng, start="<think>Yes.</think>No thought at all: " + "x y " * 20, limit=70
    )
    assert answer.startswith("<think>Yes.</think>No thought at all: x y"), (answer, SEED)
    assert answer.count("</think>") == 1, (json.dumps(answer), SEED)
