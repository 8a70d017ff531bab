# SPDX-License-Identifier: GPL-3.0-or-later
"""An applet against what a target answered once, and against one that answers now (`recording.py` writes that down).

`tests/recorded.jsonl` has a line per case: `input`, the target's `answers` in their order, and the `output`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from llama_orch_utils.errors import AppletError, OrchError

if TYPE_CHECKING:
    from llama_orch_utils import Client
    from llama_orch_utils.applets.schema import Runnable

RECORDED = Path("tests") / "recorded.jsonl"


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the file; `line` is its number."""

    line: int
    input: dict[str, Any]
    answers: tuple[str, ...] = ()
    output: dict[str, Any] | None = None


@dataclass(slots=True)
class Outcome:
    """How a case went: `wrong` says what is not as it should be, `output` is what came."""

    line: int
    wrong: str = ""
    output: dict[str, Any] = field(default_factory=dict[str, Any])
    answers: list[str] = field(default_factory=list[str])


def read(path: Path) -> list[Case]:
    """The cases of a file. Raises AppletError with the line that is none."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError as error:
        raise AppletError(
            f"there are no cases: {path} is not there", hint="orch applet test FOLDER --cases FILE"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise AppletError(f"{path} cannot be read: {error}", hint="save it as UTF-8") from error
    found: list[Case] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            found.append(_case(path, number, line))
    if not found:
        raise AppletError(f"{path} holds no case", hint='write one: {"input": {…}, "answers": ["…"], "output": {…}}')
    return found


def _case(path: Path, number: int, line: str) -> Case:
    try:
        raw: object = json.loads(line)
    except ValueError:
        raw = None
    found = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
    given, answers = found.get("input"), cast("list[object]", found.get("answers", []))
    texts = isinstance(found.get("answers", []), list) and all(isinstance(each, str) for each in answers)
    if not isinstance(given, dict) or not texts:
        raise AppletError(
            f"{path}, line {number} is no case", hint='{"input": {…}, "answers": ["…"], "output": {…}}, on one line'
        )
    return Case(number, cast("dict[str, Any]", given), tuple(map(str, answers)), found.get("output"))


def recorded(applet: Runnable, cases: Sequence[Case]) -> Iterator[Outcome]:
    """Each case against its own answers, over a real socket. The output must be the one that is written."""
    from llama_orch_utils import Client
    from llama_orch_utils.testing import FakeTap, Script

    for case in cases:
        with FakeTap() as tap, Client(tap.url) as client:
            for answer in case.answers:
                tap.script(Script((answer,)))
            found = _run(applet, case, client)
            if not found.wrong and case.output is not None and found.output != case.output:
                found.wrong = f"the output is not the one that was recorded: {_difference(case.output, found.output)}"
            if not found.wrong and len(tap.asked) < len(case.answers):
                found.wrong = f"it asked {len(tap.asked)} times; {len(case.answers)} answers are recorded"
            yield found


def live(applet: Runnable, cases: Sequence[Case], client: Client) -> Iterator[Outcome]:
    """Each case against a target that answers now. The output must be valid; its words are the model's."""
    for case in cases:
        yield _run(applet, case, client)


def _run(applet: Runnable, case: Case, client: Client) -> Outcome:
    try:
        return Outcome(case.line, output=applet.invoke(case.input, client=client).output)
    except OrchError as error:
        return Outcome(case.line, wrong=f"{type(error).__name__}: {error.message}")


def _difference(wanted: dict[str, Any], found: dict[str, Any]) -> str:
    names = sorted({*wanted, *found})
    name = next(each for each in names if wanted.get(each) != found.get(each))
    return f"{name} should be {json.dumps(wanted.get(name))[:120]}, and is {json.dumps(found.get(name))[:120]}"
