# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E501 - a schema and what it must not let pass are read side by side
"""A schema is refused with the place of what cannot be held, or every answer that ends by itself validates.

A sample of the corpus per run (TEST_SEED repeats one); `run_all.py` goes through all of it.
"""

from __future__ import annotations

import json
import random

import corpus
import pytest
from seeds import fresh_seed

from llama_orch.engine.grammar import make_constraint
from llama_orch.engine.grammar.schema_text import at
from llama_orch.engine.records import Sampling
from llama_orch_utils.errors import BadRequest

SEED = fresh_seed()
SAMPLE = 40
DRAFTS = ("draft2020-12", "draft7")


def test_answers_by_a_sample_of_the_corpus_validate(running):
    rng = random.Random(SEED)
    tally, wrong = corpus.hold(*running, rng.sample(corpus.everything(), SAMPLE), rng)
    assert not wrong, f"seed {SEED}: " + "\n".join(wrong)
    assert tally.stopped, f"seed {SEED}"


def test_answers_by_schemas_as_agents_send_them_validate(running):
    rng = random.Random(SEED)
    tally, wrong = corpus.hold(*running, rng.sample(corpus.agents(), SAMPLE), rng)
    assert not wrong, f"seed {SEED}: " + "\n".join(wrong)
    assert tally.stopped > SAMPLE // 2, f"seed {SEED}"


def accepts(vocabulary, constraint, text):
    for token in vocabulary.tokenize(text, special=False, add_bos=False):
        if not constraint.allows(token):
            return False
        constraint.accept(token)
    return constraint.is_done() or any(map(constraint.allows, vocabulary.ends))


def shuffled(value, rng):
    """The same JSON with its members in another order: llguidance reads a schema from left to right."""
    if isinstance(value, dict):
        names = list(value)
        rng.shuffle(names)
        return {name: shuffled(value[name], rng) for name in names}
    return [shuffled(inner, rng) for inner in value] if isinstance(value, list) else value


def check_place(schema, param):
    """The pointer leads into the schema."""
    assert param.startswith("/json_schema"), param
    place = param.removeprefix("/json_schema")
    assert place == "" or at(schema, place) is not None, (schema, param)


@pytest.mark.parametrize("draft", DRAFTS)
def test_no_instance_that_the_suite_calls_invalid_is_ever_allowed(running, draft):
    vocabulary = running[0].vocabulary
    rng, held, refused = random.Random(SEED), 0, 0
    for entry in corpus.suite(draft):
        schema = rng.choice((entry.schema, shuffled(entry.schema, rng)))
        try:
            constraint = make_constraint(vocabulary, Sampling(json_schema=json.dumps(schema)))
        except BadRequest as error:
            refused += 1
            check_place(schema, error.param or "")
            continue
        held += 1
        for instance, valid in entry.tests:
            if valid:
                continue
            for text in {json.dumps(instance), json.dumps(instance, ensure_ascii=False)}:
                constraint = make_constraint(vocabulary, Sampling(json_schema=json.dumps(schema)))
                assert not accepts(vocabulary, constraint, text), (entry.name, schema, text, SEED)
    assert held, f"seed {SEED}"
    assert refused, f"seed {SEED}"


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"properties": {"foo": {"type": "integer"}}}, '{"\\u0066oo":"x"}'),
        ({"type": "string"}, '"\\ud800"'),
        ({"type": "string", "format": "date"}, '"2023-02-29"'),
        ({"type": "string", "format": "date-time"}, '"2016-12-31T23:59:60Z"'),
        ({"type": "string", "pattern": "^\\S$"}, '"\ufeff"'),
        ({"type": "string", "pattern": "^.$"}, '"\u2028"'),
        ({"items": [{"type": "integer"}], "allOf": [{"items": [{}, {"type": "string"}]}], "additionalItems": {"type": "boolean"}}, '[1, "x"]'),
        ({"oneOf": [{"const": 1}, {"const": 2}]}, "3"),
        ({"type": "object", "propertyNames": {"enum": ["a"]}, "additionalProperties": {"type": "null"}}, '{"b":null}'),
        ({"type": "object", "propertyNames": {"maxLength": 2}}, '{"abc":null}'),
        ({"type": "integer", "format": "int32"}, "2147483648"),
    ],
    ids=str,
)  # fmt: skip
def test_what_llguidance_alone_would_let_pass(running, schema, text):
    vocabulary = running[0].vocabulary
    constraint = make_constraint(vocabulary, Sampling(json_schema=json.dumps(schema)))
    assert not accepts(vocabulary, constraint, text)


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"oneOf": [{"const": 1}, {"const": 1.0}]}, "/oneOf"),
        ({"items": {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}}, "/items/oneOf"),
        ({"const": "a\x00b"}, "/const"),
        ({"properties": {"a\x01": {}}}, "/properties"),
        ({"items": {"multipleOf": 0.01}}, "/items/multipleOf"),
        ({"format": "colour"}, "/format"),
        ({"patternProperties": {"^\\w+$": {"type": "integer"}}}, "/patternProperties/^\\w+$"),
        ({"pattern": "(?=a)"}, "/pattern"),
        ({"pattern": "(a)\\1"}, "/pattern"),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, "/$schema"),
        ({"$defs": {"a": {"$id": "x"}}}, "/$defs/a/$id"),
        ({"propertyNames": {"pattern": "^a"}, "properties": {"b": {}}}, "/propertyNames"),
    ],
    ids=str,
)
def test_what_validators_disagree_about_is_refused(running, schema, param):
    with pytest.raises(BadRequest) as caught:
        make_constraint(running[0].vocabulary, Sampling(json_schema=json.dumps(schema)))
    assert caught.value.param == "/json_schema" + param
