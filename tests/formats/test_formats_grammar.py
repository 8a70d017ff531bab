# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of a model that knows nothing, held by every format's grammar: each call is read, and validates."""

from __future__ import annotations

import json
import time

import jsonschema
import marked_model
import numpy as np
import pytest
from seeds import fresh_seed

from llama_orch import formats
from llama_orch.engine.grammar import make_constraint
from llama_orch.engine.records import Sampling
from llama_orch.formats import Argued, Called, Said, Thought, ToolSpec
from llama_orch.formats.families import FAMILIES, GENERIC
from llama_orch_utils.errors import BadRequest, UnsupportedByTarget

SEED = fresh_seed()
NAMES = [form.name for form in (*FAMILIES, GENERIC)]
WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 6},
        "days": {"type": "integer", "minimum": 1, "maximum": 9},
        "unit": {"enum": ["C", "F"]},
    },
    "required": ["city", "unit"],
    "additionalProperties": False,
}
NOTE = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}
TREE = {
    "type": "object",
    "properties": {"root": {"$ref": "#/$defs/node"}},
    "required": ["root"],
    "additionalProperties": False,
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "v": {"type": "boolean"},
                "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 1},
            },
            "required": ["v"],
            "additionalProperties": False,
        }
    },
}
TOOLS = [
    ToolSpec("get_weather", "The weather", WEATHER, "/tools/0/function/parameters"),
    ToolSpec("note", "", NOTE, "/tools/1/function/parameters"),
    ToolSpec("tree.of-things_1", "", TREE, "/tools/2/function/parameters"),
    ToolSpec(
        "ping", "", {"type": "object", "properties": {}, "additionalProperties": False}, "/tools/3/function/parameters"
    ),
]
SCHEMAS = {tool.name: tool.parameters for tool in TOOLS}
BEGINNINGS = {
    "llama3": ("", '{"name": "ping", "parameters":', "<|python_tag|>"),
    "generic": ("", "<tool_call>", '{"name": "note", "arguments":'),
    "harmony": ("", "<|channel|>commentary to=functions.", " to=functions."),
}


def read(form, answer, opened=""):
    parser = formats.Parser(form, tools=SCHEMAS, thinking=True, opened=opened)
    parts = parser.push(answer) + parser.flush()
    calls = {part.index: [part.name, ""] for part in parts if isinstance(part, Called)}
    for part in parts:
        if isinstance(part, Argued):
            calls[part.index][1] += part.fragment
    said = "".join(part.text for part in parts if isinstance(part, Said))
    thought = "".join(part.text for part in parts if isinstance(part, Thought))
    return said, thought, list(calls.values())


def check(calls, answer):
    for name, arguments in calls:
        jsonschema.validate(json.loads(arguments), SCHEMAS[name]), (answer, SEED)


@pytest.fixture(params=["plain", "marked"])
def vocabulary(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("name", NAMES)
def test_a_required_call_is_nothing_but_calls_that_validate(vocabulary, forms, name):
    form, rng, ends = forms[name], np.random.default_rng(SEED), 0
    for turn in range(30):  # three, or until one has come to its end: random weights talk for long
        if turn > 2 and ends:
            break
        parallel = turn == 0
        held = formats.grammar(form, TOOLS, "required", parallel, False)
        answer, ended = marked_model.speak(vocabulary, form, held, rng)
        said, _, calls = read(form, answer.removesuffix("\ufffd"))
        assert not said.strip(), (answer, SEED)
        if ended:
            ends += 1
            assert calls, (answer, SEED)
            assert parallel or len(calls) == 1, (answer, SEED)
            check(calls, answer)
    assert ends, f"seed {SEED}"


@pytest.mark.parametrize("name", NAMES)
def test_a_named_call_is_of_that_tool(vocabulary, forms, name):
    form, rng = forms[name], np.random.default_rng(SEED)
    held = formats.grammar(form, TOOLS, "named", True, False, name="ping")
    answer, ended = marked_model.speak(vocabulary, form, held, rng)
    said, _, calls = read(form, answer.removesuffix("\ufffd"))
    assert not said.strip(), (answer, SEED)
    assert {called for called, _ in calls} <= {"ping"}
    assert calls or not ended, (answer, SEED)


@pytest.mark.parametrize("name", NAMES)
def test_a_free_answer_is_held_from_the_first_sign_of_a_call_on(vocabulary, forms, name):
    form, rng, called = forms[name], np.random.default_rng(SEED), 0
    triggers = [one.trigger for one in form.calls if one.written and not one.bare]
    for start in (*BEGINNINGS.get(name, ("", *triggers)), *triggers, *triggers):
        for lead in ("", "Hm. ") if not start.startswith(("{", " to=")) and not form.channels else ("",):
            held = formats.grammar(form, TOOLS, "auto", False, True)
            answer, ended = marked_model.speak(vocabulary, form, held, rng, start=lead + start)
            said, _, calls = read(form, answer)
            if start and ended:
                assert said.strip() in ("", "Hm."), (answer, SEED)
                assert calls, (answer, SEED)
                called += 1
            if ended:
                check(calls, answer)
    assert called, f"seed {SEED}"


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name in ("hermes", "harmony", "deepseek", "mistral", "command_r")]
)
def test_a_thought_may_come_first_and_must_end(vocabulary, forms, name):
    form, rng = forms[name], np.random.default_rng(SEED)
    begun = "<|start|>assistant<|channel|>analysis<|message|>" if form.channels else f"Go.{form.thoughts[0][0]}\n"
    close = "<|end|>" if form.channels else form.thoughts[0][1]
    for opened, start in (("", ""), (begun, "So <tool_call> it is." + close)):
        held = formats.grammar(form, TOOLS, "required", True, True, opened=opened)
        answer, ended = marked_model.speak(vocabulary, form, held, rng, start=start)
        said, thought, calls = read(form, answer.removesuffix("\ufffd"), opened)
        assert not said.strip(), (answer, SEED)
        assert thought.startswith("So <tool_call> it is.") or not start
        if ended:
            assert calls, (answer, SEED)
            check(calls, answer)


def test_no_trigger_counts_within_a_thought(plain, forms):
    form, rng = forms["hermes"], np.random.default_rng(SEED)
    start = 'I may write <tool_call> here.</think>\n<tool_call>{"name": "ping", "arguments": {}}</tool_call>'
    held = formats.grammar(form, TOOLS, "auto", True, True, opened="<think>\n")
    answer, _ = marked_model.speak(plain, form, held, rng, start=start, eager=20)
    said, thought, calls = read(form, answer, "<think>\n")
    assert thought == "I may write <tool_call> here."
    assert calls[0] == ["ping", "{}"]
    assert said == ""


@pytest.mark.parametrize("name", ["hermes", "llama3", "harmony", "mistral"])
def test_an_answer_by_a_schema_or_a_call(vocabulary, forms, name):
    form, rng, ended_so = forms[name], np.random.default_rng(SEED), set()
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    answer_rule = formats.Answer(json.dumps(schema), "/response_format/json_schema/schema")
    first = "<|channel|>final<|message|>{" if form.channels else '{"ok'
    for tools, start in ((TOOLS, ""), (TOOLS, first), ([], ""), ([], first)):
        held = formats.grammar(form, tools, "auto", False, True, answer=answer_rule)
        answer, ended = marked_model.speak(vocabulary, form, held, rng, start=start)
        said, _, calls = read(form, answer)
        if not ended:
            continue
        check(calls, answer)
        assert bool(calls) != bool(said.strip()), (answer, SEED)
        assert tools or not calls
        if said.strip():
            jsonschema.validate(json.loads(said), schema)
            ended_so.add(bool(said.strip()))
    assert ended_so, f"seed {SEED}"


def test_an_answer_by_a_schema_comes_after_the_thought(plain, forms):
    form, rng = forms["hermes"], np.random.default_rng(SEED)
    held = formats.grammar(form, [], "none", True, True, opened="<think>\n", answer=formats.Answer('{"const": 7}'))
    answer, ended = marked_model.speak(plain, form, held, rng, start="Seven?</think>")
    assert ended
    assert read(form, answer, "<think>\n") == ("7", "Seven?", [])


def test_nothing_is_held_where_there_is_nothing_to_hold(forms):
    assert formats.grammar(forms["hermes"], [], "auto", True, True) is None
    assert formats.grammar(forms["hermes"], TOOLS, "none", True, True) is None


@pytest.mark.parametrize(
    "name", ["", "get weather", "a/b", "naïve", 'x"y', "a\n", "x" * 129, "<tool_call>", "a;b", "💥"]
)
def test_a_name_with_odd_characters_is_refused_with_its_place(forms, name):
    tools = [TOOLS[0], ToolSpec(name, where="/tools/1/function/parameters")]
    with pytest.raises(BadRequest) as caught:
        formats.grammar(forms["hermes"], tools, "auto", True, True)
    assert caught.value.param == "/tools/1/function/name"


def test_a_name_twice_and_a_name_that_is_none(forms):
    with pytest.raises(BadRequest, match="Two tools") as caught:
        formats.grammar(forms["hermes"], [TOOLS[0], TOOLS[0]], "auto", True, True)
    assert caught.value.param == "/tools/0/function/name"
    with pytest.raises(BadRequest, match="No tool") as caught:
        formats.grammar(forms["hermes"], TOOLS, "named", True, True, name="pong")
    assert caught.value.param == "/tool_choice"


@pytest.mark.parametrize("choice", ["auto", "required"])
@pytest.mark.parametrize("name", ["hermes", "qwen3_coder", "harmony", "granite"])
def test_a_tools_schema_that_cannot_be_held_is_refused_with_its_place(plain, forms, name, choice):
    bad = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "integer"}, "contains": {"const": 3}}},
    }
    tools = [TOOLS[0], ToolSpec("bad", "", bad, "/tools/1/function/parameters", strict=True)]
    held = formats.grammar(forms[name], tools, choice, True, True)
    with pytest.raises(UnsupportedByTarget) as caught:
        make_constraint(plain, Sampling(**held.settings()), {})
    assert caught.value.param == "/tools/1/function/parameters/properties/a/contains"
    assert caught.value.capability == "contains"


def many_tools():
    """100 KB of them, as agents send them: nested, with long descriptions, references and enumerations."""
    options = {
        "type": "object",
        "properties": {f"option_{n}": {"type": ["string", "null"], "description": "x" * 60} for n in range(8)},
    }
    for number in range(70):
        parameters = {
            "type": "object",
            "properties": {
                "mode": {"enum": [f"mode-{number}-{n}" for n in range(20)]},
                "options": {"$ref": "#/$defs/options"},
                "items": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/options"}]}},
            },
            "required": ["mode"],
            "additionalProperties": False,
            "$defs": {"options": options},
        }
        yield ToolSpec(
            f"tool_{number}", "A tool. " * 20, parameters, f"/tools/{number}/function/parameters", strict=True
        )


@pytest.mark.parametrize("choice", ["auto", "required"])
@pytest.mark.parametrize("name", ["hermes", "qwen3_coder", "harmony", "mistral_old", "generic"])
def test_100_kb_of_tools_take_a_bounded_time(plain, forms, name, choice):
    tools = list(many_tools())
    assert sum(len(json.dumps(tool.parameters)) + len(tool.description) for tool in tools) > 100_000
    began = time.process_time()
    held = formats.grammar(forms[name], tools, choice, True, True)
    make_constraint(plain, Sampling(**held.settings()), {})
    assert time.process_time() - began < 5


@pytest.mark.parametrize("name", ["hermes", "qwen3_coder", "harmony"])
def test_a_tool_that_is_not_strict_goes_without_what_cannot_be_held(plain, forms, name):
    parameters = {
        "type": "object",
        "properties": {
            "tags": {
                "type": "array",
                "items": {"type": "integer", "minimum": 0, "maximum": 9},
                "uniqueItems": True,
                "maxItems": 2,
            },
            "when": {"type": "string", "format": "fortnight"},
            "word": {"type": "string", "pattern": "(?=a)a"},
            "either": {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
            "meta": {"type": "object", "propertyNames": {"format": "date"}, "not": {}},
            "far": {"$ref": "https://example.com/x"},
            "nothing": {"type": "string", "minLength": 3, "maxLength": 2},
        },
        "required": ["tags"],
        "additionalProperties": False,
    }
    tools = [TOOLS[0], ToolSpec("loose", "", parameters, "/tools/1/input_schema")]
    form, rng = forms[name], np.random.default_rng(SEED)
    held = formats.grammar(form, tools, "named", True, False, name="loose")
    for _ in range(3):
        answer, ended = marked_model.speak(plain, form, held, rng)
        _, _, calls = read(form, answer)
        if ended:
            assert isinstance(json.loads(calls[0][1]), dict), (answer, SEED)
    strict = formats.grammar(
        form, [ToolSpec("loose", "", parameters, "/tools/1/input_schema", strict=True)], "auto", True, True
    )
    with pytest.raises(UnsupportedByTarget) as caught:
        make_constraint(plain, Sampling(**strict.settings()), {})
    assert caught.value.param == "/tools/1/input_schema/properties/tags/uniqueItems"


def test_arguments_that_are_no_object_are_refused(forms):
    with pytest.raises(BadRequest) as caught:
        formats.grammar(
            forms["hermes"], [ToolSpec("f", "", {"type": "string"}, "/tools/0/input_schema")], "auto", True, True
        )
    assert caught.value.param == "/tools/0/input_schema/type"


AT = "/tools/0/function/parameters"


@pytest.mark.parametrize("choice", ["auto", "required"])
@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, "/anyOf"),
        ({"oneOf": [{"required": ["a"]}]}, "/oneOf"),
        ({"allOf": [{"required": ["a"]}]}, "/allOf"),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"required": ["a"]}}}, "/$ref"),
        ({"enum": [{"a": 1}]}, "/enum"),
        ({"const": {"a": 1}}, "/const"),
        ({"minProperties": 1}, "/minProperties"),
        ({"required": ["a"], "maxProperties": 1}, "/maxProperties"),
        ({"patternProperties": {"^a": {"const": 1}}}, "/patternProperties"),
        ({"required": ["c"], "additionalProperties": False}, "/additionalProperties"),
        ({"required": ["no"], "properties": {"no": False}}, "/properties/no"),
        ({"properties": {"a>b": {"type": "string"}}}, "/properties/a>b"),
        ({"properties": {" a/": {"type": "string"}}}, "/properties/ a~1"),
    ],
)
def test_what_xml_elements_cannot_hold_of_a_strict_schema_is_refused(forms, said, place, choice):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}} | said
    with pytest.raises(UnsupportedByTarget) as caught:
        formats.grammar(forms["qwen3_coder"], [ToolSpec("f", "", schema, AT, strict=True)], choice, True, False)
    assert caught.value.param == AT + place
    assert caught.value.hint
    for form, strict in (("qwen3_coder", None), ("hermes", True)):  # the model's own affair, and JSON
        assert formats.grammar(forms[form], [ToolSpec("f", "", schema, AT, strict=strict)], choice, True, False)


@pytest.mark.parametrize("strict", [True, None])
def test_xml_elements_follow_references_to_the_whole_schema(plain, forms, strict):
    schema = {
        "type": "object",
        "properties": {
            "v": {"enum": ["<x>", "</parameter>"]},
            "twin": {"$ref": "#/properties/v"},
            "kids": {"type": "array", "items": {"$ref": "#"}, "maxItems": 1},
            "no": False,
        },
        "required": ["kids", "v", "twin"],
        "additionalProperties": False,
        "$defs": {"arguments": {"type": "null"}},
    }
    form, rng, ends = forms["qwen3_coder"], np.random.default_rng(SEED), 0
    held = formats.grammar(form, [ToolSpec("f", "", schema, AT, strict=strict)], "required", False, False)
    for turn in range(40):  # six, or until one has come to its end
        if turn > 5 and ends:
            break
        answer, ended = marked_model.speak(plain, form, held, rng, eager=4.0)
        parser = formats.Parser(form, tools={"f": schema}, thinking=True, opened="")
        parts = parser.push(answer) + parser.flush()
        if ended:
            ends += 1
            arguments = json.loads("".join(part.fragment for part in parts if isinstance(part, Argued)))
            jsonschema.validate(arguments, schema)
            assert not [part for part in parts if isinstance(part, Said) and part.text.strip()], (answer, SEED)
    assert ends, f"seed {SEED}"
