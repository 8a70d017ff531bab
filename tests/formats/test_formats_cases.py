# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded answers of every format, whole and cut at every place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llama_orch import formats
from llama_orch.formats import Argued, Called, Said, Thought
from llama_orch.formats.families import FAMILIES, GENERIC

FILES = sorted((Path(__file__).parent / "cases").glob("*.json"))
TOOLS = ("get_weather", "ping", "run", "plan", "say", "write_file")


def load():
    for path in FILES:
        recorded = json.loads(path.read_text())
        form = formats.find(recorded["template"])
        for case in recorded["cases"]:
            tools = recorded.get("schemas") or case.get("tools", TOOLS)
            opened = case.get("opened", recorded.get("opened", ""))
            yield pytest.param(form, case, tools or None, opened, id=f"{path.stem}: {case['name']}")


def read(form, pieces, tools, opened):
    """What an answer says in all: text, thoughts, and calls with their arguments' text."""
    parser = formats.Parser(form, tools=tools, thinking=True, opened=opened)
    parts = [part for piece in pieces for part in parser.push(piece)] + parser.flush()
    assert parser.flush() == []
    text = "".join(part.text for part in parts if isinstance(part, Said))
    thoughts = "".join(part.text for part in parts if isinstance(part, Thought))
    calls = [[part.name, ""] for part in parts if isinstance(part, Called)]
    begun = -1
    for part in parts:
        if isinstance(part, Called):
            begun += 1
            assert part.index == begun
        elif isinstance(part, Argued):
            assert part.index == begun, "arguments of a call that is not under way"
            calls[part.index][1] += part.fragment
        assert part not in (Said(""), Thought(""))
    return text, thoughts, [tuple(call) for call in calls]


@pytest.mark.parametrize(("form", "case", "tools", "opened"), [*load()])
def test_an_answer_is_read_the_same_however_it_is_cut(form, case, tools, opened):
    answer = case["answer"]
    whole = text, thoughts, calls = read(form, [answer], tools, opened)
    assert text == case["text"]
    assert thoughts == case.get("thoughts", "")
    said = [{"name": name, "arguments": json.loads(arguments)} for name, arguments in calls]
    assert said == case["calls"]
    assert read(form, answer, tools, opened) == whole, "one character at a time"
    for at in range(1, len(answer)):
        assert read(form, [answer[:at], answer[at:]], tools, opened) == whole, f"cut at {at}"


@pytest.mark.parametrize(("form", "case", "tools", "opened"), [*load()])
def test_an_answer_that_ends_anywhere_says_the_beginning_of_the_same(form, case, tools, opened):
    answer = case["answer"]
    if case.get("cut") or not tools:
        return
    text, thoughts, calls = read(form, [answer], tools, opened)
    for at in range(len(answer)):
        cut_text, cut_thoughts, cut_calls = read(form, [answer[:at]], tools, opened)
        assert thoughts.startswith(cut_thoughts.removesuffix(tail(cut_thoughts)).rstrip())
        for (name, arguments), (cut_name, cut_arguments) in zip(calls, cut_calls, strict=False):
            assert name == cut_name
            assert arguments.startswith(cut_arguments) or cut_arguments in ("{}", arguments[:-1] + "}")
        if calls and len(cut_calls) == len(calls):
            # Once the last call has begun, no part of it and no mark is ever text.
            assert text.startswith(cut_text.rstrip()) or cut_text.startswith(text)


def tail(text):
    """A mark's beginning at the end, which is text where the answer ends with it."""
    at = max(text.rfind("<"), text.rfind("["))
    return text[at:] if at >= 0 else ""


def test_each_format_has_cases_and_finds_its_template():
    known = {form.name for form in (*FAMILIES, GENERIC)}
    assert {path.stem for path in FILES} == known
    for path in FILES:
        recorded = json.loads(path.read_text())
        assert formats.find(recorded["template"]).name == recorded["format"] == path.stem
