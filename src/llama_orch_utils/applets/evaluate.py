# SPDX-License-Identifier: Apache-2.0
"""How well an applet does on its evaluation set, at one target.

A set is JSON Lines, one case a line: `{"name": …, "input": {…}, "expect": {PATH: WHAT}}`. PATH leads into the output
(`rows.0.cells.total`); WHAT is the value itself, or an object with one or more of `one_of` (any of these values), `has`
and `lacks` (texts that the value must and must not hold, in any case), `least` and `most` (of a number, or of how many
items there are).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files as resources
from typing import TYPE_CHECKING, Any, cast

from llama_orch_utils.errors import AppletError, BadRequest, OrchError, TargetError

if TYPE_CHECKING:
    from llama_orch_utils.applets.context import Progress
    from llama_orch_utils.applets.schema import Runnable
    from llama_orch_utils.client.blocking import Client

FOLDER, SUFFIX = "evaluation", ".jsonl"
_CHECKS = frozenset({"one_of", "has", "lacks", "least", "most"})
_FIELDS = frozenset({"name", "input", "expect"})
_SHOWN = 80
_FATAL = (401, 402, 403, 429)  # no key, no money: no case can run
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a set."""

    name: str
    input: Json
    expect: Json


@dataclass(frozen=True, slots=True)
class Judged:
    """How one case went: `right` of `checks`, what was wrong, or the `error` (its code and words) that came instead."""

    name: str
    checks: int
    right: int
    wrong: tuple[str, ...] = ()
    error: str | None = None
    seconds: float = 0.0
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """How a target did. `score` is the share of the checks that held, 0 to 1; `cost` is micro-euros."""

    applet: str
    target: str
    model: str | None
    cases: tuple[Judged, ...] = field(repr=False)

    @property
    def score(self) -> float:
        """Every check counts the same; those of a case that failed did not hold."""
        return self.right / self.checks if self.checks else 0.0

    @property
    def checks(self) -> int:
        """How many there were."""
        return sum(each.checks for each in self.cases)

    @property
    def right(self) -> int:
        """How many held."""
        return sum(each.right for each in self.cases)

    @property
    def errors(self) -> int:
        """The cases that gave no output."""
        return sum(each.error is not None for each in self.cases)

    @property
    def seconds(self) -> float:
        """All cases together."""
        return sum(each.seconds for each in self.cases)

    @property
    def cost(self) -> int:
        """All cases together, micro-euros."""
        return sum(each.cost for each in self.cases)


def own_cases(applet: Runnable) -> list[Case]:
    """The evaluation set that travels with an applet. Raises AppletError where there is none, or a line will not do."""
    function = getattr(applet, "function", None)
    package = getattr(function, "__globals__", {}).get("__package__")
    folder = resources(package).joinpath(FOLDER) if package else None
    found: list[Case] = []
    if folder is not None and folder.is_dir():
        for each in sorted(folder.iterdir(), key=lambda item: item.name):
            if each.name.endswith(SUFFIX):
                found += read_cases(each.read_text("utf-8"), each.name)
    if not found:
        raise AppletError(
            f"applet {applet.id} brings no evaluation set", hint=f"orch applet eval {applet.id} --set FILE.jsonl"
        )
    return found


def read_cases(text: str, where: str) -> Iterator[Case]:
    """The cases of a set; `where` is what errors call it. Raises AppletError with the line."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            raw: Any = json.loads(line)
        except ValueError as error:
            raise _wrong(where, number, f"no JSON: {error}") from error
        if not isinstance(raw, dict):
            raise _wrong(where, number, "no object")
        case = cast("Json", raw)
        if unknown := sorted(set(case) - _FIELDS):
            raise _wrong(where, number, f"nobody knows {unknown[0]}; there are: {', '.join(sorted(_FIELDS))}")
        given, expect = case.get("input"), case.get("expect")
        if not isinstance(given, dict) or not isinstance(expect, dict) or not expect:
            raise _wrong(where, number, "a case needs an input and what to expect")
        for path, what in cast("Json", expect).items():
            if _is_checks(what) and not all(_fits(check, value) for check, value in cast("Json", what).items()):
                raise _wrong(where, number, f"{path}: has, lacks and one_of take lists, least and most numbers")
        yield Case(str(case.get("name", f"line {number}")), cast("Json", given), cast("Json", expect))


def evaluate(
    applet: Runnable,
    cases: Sequence[Case],
    client: Client,
    *,
    max_cost: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Runs every case, one after the other. A case whose output is wrong or missing is a result, not an error.

    Raises what keeps all cases from running: a target that cannot be reached, a key or money that is missing.
    """
    judged: list[Judged] = []
    for at, case in enumerate(cases):
        if progress is not None:
            progress(at, len(cases), case.name)
        left = None if max_cost is None else max(max_cost - sum(each.cost for each in judged), 1)
        judged.append(_run(applet, case, client, left))
    model = client.described()
    return Report(applet.id, client.target, model.id if model is not None else None, tuple(judged))


def _run(applet: Runnable, case: Case, client: Client, max_cost: int | None) -> Judged:
    begun = time.monotonic()
    try:
        made = applet.invoke(case.input, client=client, max_cost=max_cost)
    except TargetError:
        raise
    except OrchError as error:
        if error.status in _FATAL:
            raise
        if isinstance(error, BadRequest) and error.code == BadRequest.code:
            raise AppletError(f"case {case.name}: {error.message}", hint="mend its input") from error
        words = f"{error.code}: {error.message}"
        return Judged(case.name, len(case.expect), 0, error=words, seconds=time.monotonic() - begun)
    wrong = [words for path, what in case.expect.items() for words in _misses(path, what, made.output)]
    missed = len({words.partition(":")[0] for words in wrong})
    return Judged(
        case.name, len(case.expect), len(case.expect) - missed, tuple(wrong), None, time.monotonic() - begun, made.cost
    )


def _misses(path: str, what: Any, output: Json) -> list[str]:
    """What is wrong with the value at `path`, as `PATH: words`."""
    value = _at(output, path)
    if not _is_checks(what):
        return [] if _same(value, what) else [f"{path}: {_shown(value)}, not {_shown(what)}"]
    found: list[str] = []
    text = (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).casefold()
    for check, wanted in cast("Json", what).items():
        held = {
            "one_of": lambda w=wanted: any(_same(value, each) for each in w),
            "has": lambda w=wanted: all(str(each).casefold() in text for each in w),
            "lacks": lambda w=wanted: not any(str(each).casefold() in text for each in w),
            "least": lambda w=wanted: (size := _size(value)) is not None and size >= w,
            "most": lambda w=wanted: (size := _size(value)) is not None and size <= w,
        }[check]()
        if not held:
            found.append(f"{path}: {_shown(value)}, not {check} {_shown(wanted)}")
    return found


def _is_checks(what: Any) -> bool:
    return isinstance(what, dict) and bool(cast("Json", what)) and set(cast("Json", what)) <= _CHECKS


def _fits(check: str, value: Any) -> bool:
    if check in ("least", "most"):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, list)


def _at(output: Any, path: str) -> Any:
    """The value at `a.0.b`; None where there is none."""
    value = output
    for step in path.split("."):
        if isinstance(value, dict):
            value = cast("Json", value).get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[int(step)]
        else:
            return None
    return value


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, str) and isinstance(wanted, str):
        return " ".join(value.casefold().split()) == " ".join(wanted.casefold().split())
    return (type(value) in (int, float) and type(wanted) in (int, float) and value == wanted) or (
        type(value) is type(wanted) and value == wanted
    )


def _size(value: Any) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    return len(cast("list[Any]", value)) if isinstance(value, (list, str, dict)) else None


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _wrong(where: str, line: int, words: str) -> AppletError:
    return AppletError(f"{where}, line {line}: {words}", hint="mend that line")
