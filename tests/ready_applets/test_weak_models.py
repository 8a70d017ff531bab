# SPDX-License-Identifier: GPL-3.0-or-later
"""Every applet on the demo model, and on random weights: a valid output, or an error of the tree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llama_orch_utils import Client
from llama_orch_utils.applets import Applet, load
from llama_orch_utils.applets.evaluate import own_cases
from llama_orch_utils.errors import AnswerError, ContextTooLong

NAMES = ("triage", "reply", "outreach", "brief", "summarize", "minutes", "extract")


def applet(name: str) -> Applet[Any, Any]:
    found = load(name)
    assert found is not None
    assert isinstance(found.applet, Applet), found.error
    return found.applet


def tried(name: str, client: Client) -> str:
    """What came of the first case: `output`, or the error's code."""
    one = applet(name)
    try:
        made = one.invoke(own_cases(one)[0].input, client=client)
    except (AnswerError, ContextTooLong) as error:
        return error.code
    assert one.output.model_validate(json.loads(json.dumps(made.output)))
    return "output"


def test_on_the_demo_model(orch_home: Path) -> None:
    with Client("local") as client:
        came = {name: tried(name, client) for name in NAMES}
    assert came["triage"] == "output"


@pytest.mark.parametrize("name", NAMES)
def test_on_random_weights(orch_home: Path, tiny_gguf: Path, name: str) -> None:
    with Client("local", model=str(tiny_gguf)) as client:
        assert tried(name, client) in {"output", "invalid_answer", "context_length_exceeded"}


def test_triage_on_random_weights_always_sorts(orch_home: Path, tiny_gguf: Path) -> None:
    """Its answer has no free text: the grammar alone makes it valid."""
    one = applet("triage")
    with Client("local", model=str(tiny_gguf)) as client:
        for case in own_cases(one)[:4]:
            assert one.invoke(case.input, client=client).output["language"]
