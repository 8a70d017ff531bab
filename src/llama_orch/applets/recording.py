# SPDX-License-Identifier: GPL-3.0-or-later
"""The cases of an applet, recorded anew: what a target answers now, and what the applet makes of it.

What is written is what `trial.recorded` plays: texts of answers and outputs. No header, no address and no key of a
target gets there; an answer that says the key is not recorded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from llama_orch.applets.trial import Case, Outcome, recorded
from llama_orch_utils.config.atomic import write_atomically
from llama_orch_utils.errors import AppletError, OrchError

if TYPE_CHECKING:
    from llama_orch.applets.confined import Processes
    from llama_orch_utils import Client

_CHAT = "/chat/completions"
_KEY = "an answer says the key of the target: the case was left as it was"


def record(applet: Processes, cases: Sequence[Case], client: Client, secret: str) -> list[Outcome]:
    """Each case at the target, and then against what was heard, so that it is known to play. `secret`: the key."""
    return [_record(applet, case, client, secret) for case in cases]


def write(path: Path, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> None:
    """The file with the new answers and outputs; a case that went wrong stays as it was. Raises AppletError."""
    lines = path.read_text("utf-8").splitlines()
    for case, each in zip(cases, outcomes, strict=True):
        if not each.wrong:
            told: dict[str, Any] = json.loads(lines[case.line - 1])
            told |= {"answers": each.answers, "output": each.output}
            lines[case.line - 1] = json.dumps(told, ensure_ascii=False)
    try:
        write_atomically(path, ("\n".join(lines) + "\n").encode())
    except (OSError, OrchError) as error:
        raise AppletError(f"cannot write {path}: {error}", hint="check the folder") from error


def _record(applet: Processes, case: Case, client: Client, secret: str) -> Outcome:
    heard: list[str] = []
    odd: list[str] = []

    def hear(path: str, answer: bytes) -> None:
        if path == _CHAT:
            text = text_of(answer)
            heard.append(text or "")
            if text is None:
                odd.append("an answer calls tools, or is none: only texts are recorded")

    applet.overhear(hear)
    try:
        output = applet.invoke(case.input, client=client).output
    except OrchError as error:
        return Outcome(case.line, wrong=f"{type(error).__name__}: {error.message}")
    finally:
        applet.overhear(None)
    if secret and secret in json.dumps([heard, output], ensure_ascii=False):
        return Outcome(case.line, wrong=_KEY)
    if odd:
        return Outcome(case.line, wrong=odd[0], output=output)
    (again,) = recorded(applet, [Case(case.line, case.input, tuple(heard), output)])
    return Outcome(case.line, again.wrong and f"it does not play: {again.wrong}", output, heard)


def text_of(answer: bytes) -> str | None:
    """The text of an answer, whole or as a stream of events; None where it is no text alone."""
    lines = [line[5:].strip() for line in answer.splitlines() if line.startswith(b"data:")]
    found: list[str] = []
    for each in lines or [answer]:
        if each == b"[DONE]":
            break
        try:
            raw: object = json.loads(each)
        except ValueError:
            return None
        choices = cast("dict[str, Any]", raw).get("choices") if isinstance(raw, dict) else None
        for choice in cast("list[dict[str, Any]]", choices or []):
            said = cast("dict[str, Any]", choice.get("message") or choice.get("delta") or {})
            if said.get("tool_calls"):
                return None
            found.append(said.get("content") or "")
    return "".join(found)
