# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch applet eval`: what is right, what is wrong, and targets side by side."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llama_orch_utils import Client
from llama_orch_utils.applets import discover, load
from llama_orch_utils.applets.evaluate import Case, evaluate, own_cases, read_cases
from llama_orch_utils.errors import AppletError, NotAuthorised, TargetUnreachable
from llama_orch_utils.testing import FakeTap

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
SORTED = {"category": "billing", "priority": "high", "sentiment": "unhappy", "language": "en", "team": "billing"}


def triage() -> Any:
    found = load("triage")
    assert found is not None
    return found.applet


def case(**expect: Any) -> Case:
    return Case("one", {"body": "Charged twice"}, expect)


@pytest.mark.parametrize(
    ("expect", "right"),
    [
        ({"category": "Billing", "language": "de"}, 1),
        ({"category": {"one_of": ["bug", "billing"]}}, 1),
        ({"team": {"has": ["BILL"], "lacks": ["support"]}}, 1),
        ({"team": {"has": ["bill"], "lacks": ["bill"]}}, 0),
        ({"team": {"least": 3, "most": 7}}, 1),
        ({"team": {"least": 8}}, 0),
        ({"nothing.0.there": None}, 1),
        ({"nothing": "x", "category.0": None}, 1),
    ],
)
def test_what_is_expected_is_compared(orch_home: Path, expect: dict[str, Any], right: int) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        tap.json(SORTED)
        report = evaluate(triage(), [case(**expect)], client)
        assert (report.right, report.checks, report.errors) == (right, len(expect), 0)
        assert len(report.cases[0].wrong) >= len(expect) - right


def test_a_case_that_fails_is_a_result_and_a_target_that_fails_is_an_error(orch_home: Path) -> None:
    with FakeTap(key="right", pricing={"input": 1_000_000, "output": 1_000_000}) as tap:
        with Client(tap.url, key="right") as client:
            tap.answer("no json").answer("no json").json(SORTED)
            report = evaluate(triage(), [case(category="billing"), case(category="billing")], client)
            assert (report.score, report.errors, report.model) == (0.5, 1, "fake-model")
            assert (report.cases[0].error or "").startswith("invalid_answer: ")
            assert report.cost > 0
        with Client(tap.url, key="wrong") as client, pytest.raises(NotAuthorised):
            evaluate(triage(), [case(category="billing")], client)
    with Client(tap.url, key="right", retries=0) as client, pytest.raises(TargetUnreachable):
        evaluate(triage(), [case(category="billing")], client)


def test_a_case_whose_input_does_not_fit_is_named(orch_home: Path) -> None:
    with FakeTap() as tap, Client(tap.url) as client, pytest.raises(AppletError, match="case odd: applet triage: body"):
        evaluate(triage(), [Case("odd", {"body": 3}, {"team": "x"})], client)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2: no JSON"),
        ("[]", "line 2: no object"),
        ('{"input": {}, "expect": {}}', "line 2: a case needs"),
        ('{"input": {}, "expect": {"a": {"has": "text"}}}', "line 2: a: has, lacks"),
        ('{"input": {}, "expect": {"a": 1}, "weight": 2}', "line 2: nobody knows weight"),
    ],
)
def test_a_broken_set_names_its_line(line: str, words: str) -> None:
    with pytest.raises(AppletError, match=words):
        list(read_cases(f'{{"input": {{}}, "expect": {{"a": 1}}}}\n{line}\n', "x.jsonl"))


def test_every_ready_made_applet_brings_a_set_that_fits_it() -> None:
    found = {each.name: each.applet for each in discover()}
    for name in ("triage", "reply", "outreach", "brief", "summarize", "minutes", "extract"):
        applet: Any = found[name]
        cases = own_cases(applet)
        assert len(cases) >= 20, name
        assert len({each.name for each in cases}) == len(cases)
        for each in cases:
            applet.read(each.input)
            assert {path.partition(".")[0] for path in each.expect} <= set(applet.output.model_fields)
        assert any("injection" in each.name for each in cases), f"{name}: data that gives orders"


SPOKEN = {"reply": 3, "triage": 8, "outreach": 4, "brief": 4, "summarize": 4, "minutes": 3, "extract": 1}


@pytest.mark.parametrize("name", SPOKEN)
def test_sets_speak_several_languages_and_an_empty_answer_is_not_right(orch_home: Path, name: str) -> None:
    found = load(name)
    assert found is not None
    cases = own_cases(found.applet)  # type: ignore[arg-type]
    foreign = ("German", "French", "Spanish", "Dutch", "Polish", "Italian", "Portuguese", "Japanese", "Turkish")
    spoken = [each for each in cases if any(word.casefold() in each.name.casefold() for word in foreign)]
    assert len(spoken) >= SPOKEN[name]
    with FakeTap() as tap, Client(tap.url) as client:
        report = evaluate(found.applet, cases, client)  # type: ignore[arg-type]
    # The smallest answer that fits: a set that calls that right checks nothing.
    perfect = [each.name for each in report.cases if each.right == each.checks]
    # (That nothing is known, and nothing was decided, is a right answer where it is so.)
    assert len(perfect) <= len(cases) // 2, perfect
    assert report.score < 0.6


def test_what_extract_and_reply_expect_stands_in_their_sources() -> None:
    """A check that no true answer could pass would only lower every score."""
    for name in ("extract", "reply"):
        found = load(name)
        assert found is not None
        for each in own_cases(found.applet):  # type: ignore[arg-type]
            sources = [each.input.get("text", ""), *(one["text"] for one in each.input.get("sources", ()))]
            text = " ".join(sources).casefold()
            digits = re.sub(r"[.,](?=\d{3}\b)", "", text).replace(",", ".")
            for path, what in each.expect.items():
                wanted = what.get("has", []) if isinstance(what, dict) else [what]
                for word in wanted if path not in ("known", "rows.0.cells.kind") else ():
                    if isinstance(word, str) and not path.endswith("source"):
                        assert word.casefold() in text, (each.name, word)
                    elif isinstance(word, (int, float)) and not isinstance(word, bool):
                        assert f"{word:g}" in digits, (each.name, word)
                if path.endswith("source"):
                    assert what in [one["name"] for one in each.input["sources"]]


def test_targets_are_compared_side_by_side(run_orch: Orch, tmp_path: Path) -> None:
    own = tmp_path / "own.jsonl"
    own.write_text(
        '{"name": "twice", "input": {"body": "Charged twice"}, "expect": {"category": "billing", "language": "en"}}\n'
    )
    with FakeTap(models=("good",)) as good, FakeTap(models=("poor",)) as poor:
        good.json(SORTED)
        poor.json({**SORTED, "category": "bug"})
        words = ("applet", "eval", "triage", "--set", str(own), "--target", good.url, "--target", poor.url)
        done = run_orch(*words, "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["applet"], told["cases"]) == ("triage", 1)
        assert [(each["model"], each["score"], each["right"]) for each in told["targets"]] == [
            ("good", 1.0, 2),
            ("poor", 0.5, 1),
        ]
        good.json(SORTED)
        poor.json({**SORTED, "category": "bug"})
        done = run_orch(*words)
        assert b"100%" in done.stdout
        assert b"50%" in done.stdout
        assert b'twice: category: "bug", not "billing"' in done.stderr
    done = run_orch("applet", "eval", "triage", "--target", "local", "--target", "local")
    assert done.returncode == 2
    assert b"given twice" in done.stderr


def test_on_the_demo_model(run_orch: Orch) -> None:
    done = run_orch("applet", "eval", "triage", "--first", "2", "--json")
    assert done.returncode == 0, done.stderr
    target = json.loads(done.stdout)["targets"][0]
    assert target["checks"] == 8
    assert target["errors"] == 0
