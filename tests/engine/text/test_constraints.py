# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E501 - a schema and what holds of it are read side by side
"""Whole answers of a model that knows nothing (random logits) under grammars and schemas: each that ends is valid."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from seeds import fresh_seed

from llama_orch.engine.grammar import make_constraint
from llama_orch.engine.records import Sampling
from llama_orch.engine.sampling import make_sampler
from llama_orch.engine.text import TextStream
from llama_orch_utils.errors import BadRequest, EngineFailed, UnsupportedByTarget

SEED = fresh_seed()


def generate(vocabulary, sampling, rng, limit=150, favour=()):
    """A random answer, and whether it came to its end; `favour` raises logits, as a model that wants to end would."""
    sampler = make_sampler(vocabulary, sampling, make_constraint(vocabulary, sampling), [])
    stream, said = TextStream(vocabulary), ""
    try:
        for _ in range(limit):
            row = (rng.standard_normal(vocabulary.n_tokens) * 3).astype(np.float32)
            row[list(vocabulary.ends)] += 3
            row[list(favour)] += 6
            token = sampler.sample(row).token
            if vocabulary.is_end(token):
                return said + stream.flush(), True
            said += stream.push(token)
        return said + stream.flush(), False
    finally:
        sampler.close()


GRAMMARS = {
    "one word": ('root ::= "yes" | "no" | "maybe so"', r"yes|no|maybe so"),
    "digits": ("root ::= [0-9]{1,4}", r"[0-9]{1,4}"),
    "optional": ('root ::= "a"? [b-d]+ ("." [0-9] [0-9])? "!"', r"a?[b-d]+(\.[0-9][0-9])?!"),
    "inverted": ('root ::= "<" [^<>\\n]{0,12} ">"', r"<[^<>\n]{0,12}>"),
    "any": ("root ::= .{2,5}", r"(?s:.{2,5})"),
    "unicode": ('root ::= ("ä" | "€" | "😀" | [à-ï]){1,3}', r"(ä|€|😀|[à-ï]){1,3}"),
    "escapes": ('root ::= "\\x41\\u00e9\\n" [\\]\\-\\\\]', "Aé\n[\\]\\-\\\\]"),
    "nested": ('root ::= (("a" | "b") ("c" | "d")*){1,3} # comment\n', r"((a|b)(c|d)*){1,3}"),
    "empty answer": ('root ::= "x"?', r"x?"),
    "many lines": (
        'root ::=\n  item |\n  item "," item\nitem ::= [a-c]+ | (\n "(" [0-9] ")" )\n',
        r"([a-c]+|\([0-9]\))(,([a-c]+|\([0-9]\)))?",
    ),
}
LIST = 'root ::= "[" (item ("," item)*)? "]"\nitem ::= [0-9] | root'


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.0}, {"top_k": 0, "top_p": 1.0, "min_p": 0.0}], ids=str)
@pytest.mark.parametrize("name", GRAMMARS)
def test_every_finished_answer_is_of_the_grammar(vocabulary, name, settings):
    text, pattern = GRAMMARS[name]
    rng = np.random.default_rng(SEED)
    ends = 0
    for _ in range(4):
        said, ended = generate(vocabulary, Sampling(grammar=text, seed=SEED & 0xFFFF, **settings), rng, limit=60)
        ends += ended
        if ended:
            assert re.fullmatch(pattern, said), f"{said!r}, seed {SEED}"
        assert "\ufffd" not in said or not ended
    if name not in {"nested", "many lines", "optional", "any", "inverted"}:
        assert ends, f"seed {SEED}"


def test_a_recursive_grammar_is_held(vocabulary):
    rng = np.random.default_rng(SEED)
    ends = 0
    for _ in range(12):
        said, ended = generate(
            vocabulary, Sampling(grammar=LIST, seed=1), rng, favour=vocabulary.tokenize("]", special=False)
        )
        if ended:
            ends += 1
            json.loads(said)
    assert ends, f"seed {SEED}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no rule 'root'"),
        ("root", "expected ::="),
        ('start ::= "a"', "no rule 'root'"),
        ('root ::= "a', "unexpected end"),
        ("root ::= [a", "unexpected end"),
        ("root ::= (a", "expected '\\)'"),
        ("root ::= a)", "expected a new line"),
        ("root ::= missing", "rule 'missing' is not defined"),
        ('root ::= "a"\nroot ::= "b"', "defined twice"),
        ("root ::= root", "left recursion"),
        ('root ::= root "a" | "b"', "left recursion in rule 'root'"),
        ('root ::= a\na ::= b\nb ::= a "x"', "left recursion in rule 'a', rule 'b'"),
        ('root ::= e root "y" | "z"\ne ::= f\nf ::= "q" | ""', "left recursion"),
        ("root ::= " + "(" * 100_000, "nest deeper"),
        ("root ::= r0\n" + "".join(f'r{i} ::= r{i + 1} "a"\n' for i in range(7000)) + 'r7000 ::= "x"', "nest too deep"),
        ("".join(f"r{i} ::= r{i + 1}\n" for i in range(9000)) + 'r9000 ::= "x"\nroot ::= r0', "more than 8000 rules"),
        ('root ::= "a"{5,3}', "repetitions"),
        ('root ::= "a"{0,5000}', "repetitions"),
        ('root ::= "a"{99999999999999999999999}', "repetitions"),
        ('root ::= ("a"{0,50}){0,50}', "repetitions"),
        ('root ::= "a"{', "expected {n}"),
        ("root ::= *", "nothing to repeat"),
        ("root ::= []", "empty set"),
        ("root ::= [^]", "empty set"),
        ("root ::= [z-a]", "backwards"),
        ('root ::= "\\q"', "unknown escape"),
        ('root ::= "\\x4"', "unknown escape"),
        ('root ::= "\\x00"', "no character"),
        ('root ::= "\\uD800"', "no character"),
        ('root ::= "\\U00110000"', "no character"),
        ('root ::= "\ud800"', "no character"),
        ('root ::= "a" # \0', "NUL"),
        ("root ::= " + '"a" ' * 100_000, "longer than|too large"),
        ('root ::= s\ns ::= "(" s ")" | "(" s "]" | "x"', "ambiguous"),
        ("root ::= <[5]>", "names tokens"),
        ('root ::= "a" !<|im_end|>', "names tokens"),
    ],
    ids=lambda text: text[:25],
)
def test_a_grammar_that_cannot_be_used_is_refused_in_words(vocabulary, text, words):
    with pytest.raises(BadRequest, match=words) as caught:
        make_constraint(vocabulary, Sampling(grammar=text))
    assert caught.value.param == "/grammar"


def test_a_syntax_error_has_its_place(vocabulary):
    with pytest.raises(BadRequest, match="line 2, column 8"):
        make_constraint(vocabulary, Sampling(grammar='root ::= x\nx ::= "\\q"'))


def test_repetition_of_what_may_be_empty_is_llama_cpps_to_judge(vocabulary):
    constraint = make_constraint(vocabulary, Sampling(grammar='root ::= ("a"*)* "!"'))
    assert constraint.allows(vocabulary.tokenize("a", special=False)[0])
    constraint.close()
    with pytest.raises(BadRequest, match="left recursion"):
        make_constraint(vocabulary, Sampling(grammar='root ::= x\nx ::= x | "a"'))


def test_a_grammar_that_is_no_grammar_of_any_token_ends_in_words(vocabulary):
    """After `a` only U+0300 to U+0301 may follow, and the row forbids every byte that begins it."""
    sampling = Sampling(grammar='root ::= "a" [\u0300-\u0301]', temperature=0)
    sampler = make_sampler(vocabulary, sampling, make_constraint(vocabulary, sampling), [])
    row = np.full(vocabulary.n_tokens, -np.inf, np.float32)
    row[vocabulary.tokenize("a", special=False)] = 1
    assert sampler.sample(row.copy()).token == vocabulary.tokenize("a", special=False)[0]
    with pytest.raises(BadRequest, match="No token is left"):
        sampler.sample(row.copy())
    sampler.close()


def test_control_tokens_and_broken_utf8_never_pass_a_grammar(vocabulary):
    constraint = make_constraint(vocabulary, Sampling(grammar="root ::= .*"))
    control = vocabulary.tokenize("<|im_start|>", special=True)
    assert len(control) == 1
    assert not constraint.allows(control[0])
    first, *_ = vocabulary.tokenize("€", special=False)
    letter = vocabulary.tokenize("a", special=False)[0]
    constraint.accept(first)
    assert not constraint.allows(letter)
    assert not any(map(constraint.allows, vocabulary.ends))
    constraint.close()


@pytest.mark.parametrize("text", ["root ::= .*", "root ::= .{1,3}", 'root ::= "<" [^<>]* ">"'])
def test_no_token_begins_a_character_that_there_is_not(vocabulary, text):
    """Bytes ED A0 to ED BF begin surrogates, which no UTF-8 has: after them nothing could follow."""
    bytes_alone = {vocabulary.piece(token): token for token in range(vocabulary.n_tokens)}
    constraint = make_constraint(vocabulary, Sampling(grammar=text))
    for byte in (b"<", b"\xed") if "<" in text else (b"\xed",):
        constraint.accept(bytes_alone[byte])
    seconds = [byte for byte in range(256) if constraint.allows(bytes_alone[bytes([byte])])]
    assert seconds == list(range(0x80, 0xA0))
    constraint.close()


def test_after_the_end_nothing_is_taken(vocabulary):
    end = min(vocabulary.ends)
    for sampling in (Sampling(grammar='root ::= "a"?'), Sampling(json_schema="{}")):
        constraint = make_constraint(vocabulary, sampling)
        if sampling.grammar:
            assert constraint.allows(end)
        constraint.accept(end)
        assert constraint.is_done()
        assert not constraint.allows(end)
        assert not constraint.allows(65)
        with pytest.raises(EngineFailed):
            constraint.accept(65)
        constraint.close()
        constraint.close()


def is_person(value):
    return (
        isinstance(value, dict)
        and set(value) <= {"name", "age", "tags"}
        and {"name", "age"} <= set(value)
        and isinstance(value["name"], str)
        and 1 <= len(value["name"]) <= 8
        and type(value["age"]) is int
        and 0 <= value["age"] <= 130
        and all(tag in ("a", "b") for tag in value.get("tags", []))
        and len(value.get("tags", [])) <= 3
    )


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3, "uniqueItems": False},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
SCHEMAS = {
    "boolean": ({"type": "boolean"}, lambda value: isinstance(value, bool)),
    "enum": ({"enum": ["red", 3, None, {"a": [1]}]}, lambda value: value in ["red", 3, None, {"a": [1]}]),
    "const": ({"const": {"x": "é€"}}, lambda value: value == {"x": "é€"}),
    "integer": ({"type": "integer", "minimum": -5, "exclusiveMaximum": 40}, lambda v: type(v) is int and -5 <= v < 40),
    "multiple": ({"type": "integer", "multipleOf": 5, "minimum": 0, "maximum": 995}, lambda v: 0 <= v <= 995 and v % 5 == 0),
    "number": ({"type": "number", "minimum": 0.5, "maximum": 2}, lambda value: 0.5 <= value <= 2),
    "pattern": ({"type": "string", "pattern": "^[A-C]{2}-[0-9]{1,3}$"}, lambda v: re.fullmatch("[A-C]{2}-[0-9]{1,3}", v)),
    "date": ({"type": "string", "format": "date"}, lambda value: re.fullmatch(r"\d{4}-\d\d-\d\d", value)),
    "either": ({"anyOf": [{"type": "null"}, {"type": "array", "prefixItems": [{"const": 1}, {"type": "boolean"}], "minItems": 2, "items": False}]},
               lambda value: value is None or (value[0] == 1 and isinstance(value[1], bool) and len(value) == 2)),
    "one of": ({"oneOf": [{"type": "string", "maxLength": 3}, {"type": "integer", "minimum": 0, "maximum": 9}]},
               lambda v: (isinstance(v, str) and len(v) <= 3) or v in range(10)),
    "all of": ({"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 6}]}, lambda value: value in (3, 4, 5, 6)),
    "reference": ({"$defs": {"n": {"type": ["null", "boolean"]}}, "type": "array", "items": {"$ref": "#/$defs/n"}, "minItems": 1, "maxItems": 3},
                  lambda value: 1 <= len(value) <= 3 and all(v is None or isinstance(v, bool) for v in value)),
    "person": (PERSON, is_person),
    "nothing but the letter": ({"type": "string", "minLength": 2, "maxLength": 4}, lambda v: isinstance(v, str) and 2 <= len(v) <= 4),
    "at least": ({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": {"type": "boolean"}, "minProperties": 2, "maxProperties": 3}, lambda v: "a" in v and 2 <= len(v) <= 3),
    "names": ({"type": "object", "patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False}, lambda v: all(k.startswith("x") and type(i) is int for k, i in v.items())),
    "between": ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, lambda v: 0 < v < 1),
    "quarters": ({"type": "number", "multipleOf": 0.25, "minimum": 0, "maximum": 10}, lambda v: 0 <= v <= 10 and v * 4 == int(v * 4)),
    "address": ({"type": "string", "format": "ipv4"}, lambda v: len(v.split(".")) == 4 and all(int(x) < 256 for x in v.split("."))),
    "uuid": ({"type": "string", "format": "uuid"}, lambda v: re.fullmatch("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", v)),
    "reference and more": ({"$defs": {"s": {"type": "string"}}, "$ref": "#/$defs/s", "maxLength": 2}, lambda v: len(v) <= 2),
    "both": ({"allOf": [{"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}, {"properties": {"b": {"type": "null"}}, "required": ["b"]}]}, lambda v: isinstance(v["a"], bool) and v["b"] is None),
    "contains": ({"type": "string", "pattern": "b+", "maxLength": 20}, lambda v: re.search("b+", v) and len(v) <= 20),
    "map": ({"type": "object", "additionalProperties": {"type": "boolean"}, "maxProperties": 2}, lambda v: len(v) <= 2 and all(isinstance(b, bool) for b in v.values())),
}  # fmt: skip


@pytest.mark.parametrize("settings", [{}, {"top_k": 0, "top_p": 1.0, "min_p": 0.0}, {"temperature": 0.0}], ids=str)
@pytest.mark.parametrize("name", SCHEMAS)
def test_every_finished_answer_is_of_the_schema(vocabulary, name, settings):
    schema, holds = SCHEMAS[name]
    rng = np.random.default_rng(SEED)
    favour = [token for char in '"}],' for token in vocabulary.tokenize(char, special=False)]
    ends = 0
    for _ in range(5):
        sampling = Sampling(json_schema=json.dumps(schema), seed=SEED & 0xFFFF, **settings)
        said, ended = generate(vocabulary, sampling, rng, favour=favour)
        if ended:
            ends += 1
            assert holds(json.loads(said)), f"{said!r}, seed {SEED}"
    if name not in {"map", "at least", "both"}:
        assert ends, f"seed {SEED}"


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"not": {}}, "/not"),
        (
            {"type": "object", "properties": {"a/b~c": {"type": "array", "contains": {}}}},
            "/properties/a~1b~0c/contains",
        ),
        ({"anyOf": [{"type": "string"}, {"if": {}, "then": {}}]}, "/anyOf/1/if"),
        ({"items": {"uniqueItems": True}}, "/items/uniqueItems"),
        ({"$defs": {"x": {"propertyNames": {"format": "date"}}}, "$ref": "#/$defs/x"}, "/$defs/x/propertyNames"),
        ({"additionalProperties": {"dependentRequired": {}}}, "/additionalProperties/dependentRequired"),
        ({"x-guidance": {"lenient": True}, "not": {}}, "/not"),
        ({"x-guidance": {"lenient": True}}, "/x-guidance"),
        ({"unevaluatedProperties": False}, "/unevaluatedProperties"),
        ({"additionalProperties": {"type": "boolean"}, "minProperties": 2}, "/minProperties"),
    ],
    ids=str,
)
def test_an_unsupported_keyword_is_named_with_its_place(vocabulary, schema, param):
    with pytest.raises(UnsupportedByTarget) as caught:
        make_constraint(vocabulary, Sampling(json_schema=json.dumps(schema)))
    assert caught.value.param == "/json_schema" + param
    assert caught.value.capability == param.rsplit("/", 1)[1]


@pytest.mark.parametrize(
    ("text", "param", "words"),
    [
        ("{", "", "line 1, column 2"),
        ("", "", "no JSON"),
        ("[]", "", "object or a boolean"),
        ('"a"', "", "object or a boolean"),
        ('{"minimum": NaN}', "", "NaN"),
        ("false", "", "cannot be used"),
        ('{"a":' * 100 + "1" + "}" * 100, "", "deeper than 64"),
        ("[" * 100_000 + "]" * 100_000, "", "deeper than 64"),
        ('{"description": "' + "x" * 300_000 + '"}', "", "longer than"),
        ('{"type": "strange"}', "", "strange"),
        ('{"properties": {"a": {"type": "string", "format": "bogus"}}}', "/properties/a/format", "bogus"),
        ('{"items": {"type": "string", "pattern": "("}}', "/items", "unclosed"),
        ('{"items": {"type": "string", "pattern": "(?=a)b"}}', "/items/pattern", "look-around"),
        ('{"anyOf": [true, {"type": "integer", "minimum": 5, "maximum": 3}], "type": "integer"}', None, None),
        ('{"properties": {"a": {"$ref": "#/$defs/none"}}}', "/properties/a/$ref", "does not lead"),
        ('{"$ref": "http://127.0.0.1:9/x.json"}', "/$ref", "does not lead"),
        ('{"$ref": 3}', "/$ref", "does not lead"),
        ('{"required": "a"}', "", "Expected array"),
        ('{"maximum": 1' + "0" * 400 + "}", "", "out of range"),
        ('{"maximum": 1' + "0" * 5000 + "}", "", "no JSON"),
        ('{"items": {"type": "integer", "multipleOf": 9999991}}', "/items/multipleOf", "too fine"),
        (
            '{"allOf": [{"multipleOf": 97}, {"multipleOf": 0.5}, {"multipleOf": 83}]}',
            "/allOf/2/multipleOf",
            "too fine",
        ),
        ('{"multipleOf": 0}', "", "multiple"),
        (
            '{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}',
            "",
            "allows no answer",
        ),
        (
            '{"allOf": [' + ",".join(['{"anyOf": [{"minimum": 1}, {"maximum": 9}]}'] * 30) + '], "type": "integer"}',
            "",
            "too large",
        ),
        ('{"properties": 3}', "", "properties must be"),
        ('{"type": "string", "minLength": 5, "maxLength": 2}', "", "cannot be used"),
    ],
    ids=lambda text: str(text)[:30],
)
def test_a_schema_that_cannot_be_used_is_refused_with_its_place(vocabulary, text, param, words):
    if words is None:  # satisfiable by its other branch
        make_constraint(vocabulary, Sampling(json_schema=text)).close()
        return
    with pytest.raises(BadRequest, match=words) as caught:
        make_constraint(vocabulary, Sampling(json_schema=text))
    assert caught.value.param == "/json_schema" + param


def test_a_recursive_schema_is_held(vocabulary):
    tree = {"$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}, "maxItems": 2}}, "$ref": "#/$defs/t"}
    rng = np.random.default_rng(SEED)
    favour = vocabulary.tokenize("]", special=False)
    finished = [
        said
        for _ in range(10)
        for said, ended in [generate(vocabulary, Sampling(json_schema=json.dumps(tree), seed=1), rng, favour=favour)]
        if ended
    ]
    assert finished, f"seed {SEED}"
    assert all(isinstance(json.loads(said), list) for said in finished)


def test_a_constraint_changes_nothing_when_the_model_obeys_anyway(vocabulary):
    """With room for everything, a grammar's draws are those of the unconstrained request, token by token."""
    plain = make_sampler(vocabulary, Sampling(seed=7, top_k=5), None, [])
    sampling = Sampling(seed=7, top_k=5, grammar="root ::= .*")
    ruled = make_sampler(vocabulary, sampling, make_constraint(vocabulary, sampling), [])
    rng = np.random.default_rng(3)
    letters = [token for token in range(vocabulary.n_tokens) if vocabulary.piece(token).isalpha()]
    for _ in range(100):
        row = np.full(vocabulary.n_tokens, -50, np.float32)
        row[letters] = rng.standard_normal(len(letters)) * 3
        assert plain.sample(row.copy()).token == ruled.sample(row.copy()).token
    plain.close()
    ruled.close()
