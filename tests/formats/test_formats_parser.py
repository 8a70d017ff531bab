# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds of the parsers for any answer whatever."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_orch import formats
from llama_orch.formats import Argued, Called, Said, Thought
from llama_orch.formats.families import FAMILIES, GENERIC, SILENT, THOUGHTS
from llama_orch.formats.form import CHANNEL_MARKS
from llama_orch.formats.marks import Marks
from llama_orch.formats.written import written

FORMS = [
    replace(form, thoughts=THOUGHTS[:1], silent=tuple(mark for pair in SILENT for mark in pair))
    for form in (*FAMILIES, GENERIC)
]
TOOLS = {"f": {"type": "object", "properties": {"a": {"type": "string"}}}, "get_weather": {}, "x.y-z_1": {}}
MARKS = sorted(
    {mark for form in FORMS for mark in form.shown} | set(CHANNEL_MARKS) | {m for pair in THOUGHTS for m in pair}
)
WORDS = (
    '{"name": "f", |"arguments": |"parameters": |{"a": "}"}|}|[|]|, |;|\n| |f|to=functions.f|function|```json|```'
    '|commentary|analysis|final|json|"|\\|<|é|text|<parameter=a>|</parameter>|>|Action:'
)
PIECES = [*MARKS, *WORDS.split("|")]
names = st.sampled_from(sorted(TOOLS))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=30) | st.sampled_from(MARKS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
calls = st.lists(
    st.tuples(names, st.dictionaries(st.sampled_from(["a", "b", "c d", 'e"\n']), values, max_size=3)),
    min_size=1,
    max_size=3,
)
answers = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=14).map("".join)


def together(parts):
    """The parts with neighbours of one kind joined."""
    found = []
    for part in parts:
        last = found[-1] if found else None
        if isinstance(part, Said | Thought) and type(part) is type(last):
            found[-1] = type(part)(last.text + part.text)
        elif isinstance(part, Argued) and isinstance(last, Argued) and part.index == last.index:
            found[-1] = Argued(part.index, last.fragment + part.fragment)
        else:
            found.append(part)
    return found


def read(form, pieces, tools=TOOLS, thinking=True):
    parser = formats.Parser(form, tools=tools, thinking=thinking)
    return together([part for piece in pieces for part in parser.push(piece)] + parser.flush())


def cut(text, places):
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[one:two] for one, two in itertools.pairwise(edges)]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@given(answer=answers, places=st.lists(st.integers(0, 200), max_size=8))
@settings(max_examples=60, deadline=None)
def test_pieces_equal_the_whole(form, answer, places):
    whole = read(form, [answer])
    assert read(form, cut(answer, places)) == whole
    assert read(form, answer) == whole


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@given(said=calls, places=st.lists(st.integers(0, 500), max_size=8))
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read(form, said, places):
    if form.name == "qwen3_coder":  # as XML, a value is text that its own marks and line ends would break
        said = [
            (name, {key: value for key, value in arguments.items() if key == "b" and isinstance(value, int)})
            for name, arguments in said
        ]
    answer = written(form, said)
    parts = read(form, cut(answer, places))
    assert not [part for part in parts if isinstance(part, Said | Thought)]
    found = [part.name for part in parts if isinstance(part, Called)]
    arguments = [json.loads(part.fragment) for part in parts if isinstance(part, Argued)]
    assert list(zip(found, arguments, strict=True)) == [(name, dict(wanted)) for name, wanted in said]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@given(answer=st.text(st.characters(exclude_characters="<[{;"), max_size=60))
@settings(max_examples=30, deadline=None)
def test_text_without_marks_passes_at_once(form, answer):
    if "Action:" in answer or form.channels:
        return
    parser = formats.Parser(form, tools=TOOLS, thinking=True)
    parts = parser.push("Hi") + parser.push(answer)
    rest = parser.flush()
    assert "".join(part.text for part in parts + rest) == "Hi" + answer
    assert sum(len(part.text) for part in rest) < len("Action:")


@given(answer=answers)
@settings(max_examples=200, deadline=None)
def test_nothing_is_lost_where_nothing_is_looked_for(answer):
    parts = read(GENERIC, [answer], tools=None, thinking=False)
    assert parts == ([Said(answer)] if answer else [])


def test_no_mark_begins_another():
    for form in FORMS:
        marks = {one.mark for one in form.calls if not one.bare} | {begin for begin, _ in THOUGHTS} | set(form.silent)
        assert not [(one, two) for one in marks for two in marks if one != two and two.startswith(one)]


def test_long_arguments_stream_in_linear_time():
    parser = formats.Parser(FORMS[[form.name for form in FORMS].index("hermes")], tools=TOOLS, thinking=True)
    parts = parser.push('<tool_call>\n{"name": "f", "arguments": {"a": "')
    began = time.process_time()
    for _ in range(20_000):
        parts += parser.push("word after word, \\n and {more} ")
    assert time.process_time() - began < 5
    parts += parser.push('"}}\n</tool_call>') + parser.flush()
    assert len(parts) > 20_000
    assert len(json.loads("".join(part.fragment for part in parts if isinstance(part, Argued)))["a"]) > 500_000


@given(text=st.text("<[ab", max_size=12), marks=st.lists(st.text("<[ab", min_size=1, max_size=5), max_size=3))
def test_marks_are_found_as_str_finds_them(text, marks):
    found = Marks(marks).search(text)
    places = [at for mark in marks if (at := text.find(mark)) >= 0]
    assert (found[0] if found else None) == min(places, default=None)
    keep = Marks(marks).partial(text)
    wanted = [k for k in range(1, len(text) + 1) if any(len(mark) > k and mark.startswith(text[-k:]) for mark in marks)]
    assert keep == max(wanted, default=0)
