# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages and threads from what is at hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch_utils.errors import BadRequest
from llama_orch_utils.threads import alternating, message, thread


def test_a_message_loses_the_indent_that_its_lines_share() -> None:
    assert message("\n    One\n      two\n    ") == {"role": "user", "content": "One\n  two"}
    assert message("Be brief.", "system")["role"] == "system"


def test_a_thread_is_read_from_its_lines() -> None:
    text = """
        system: You are brief.
        user: Note: this is
            a long question
        note: that names no role
        Assistant: Yes.
        user:
            And
            why?
    """
    turns = [
        {"role": "system", "content": "You are brief."},
        {"role": "user", "content": "Note: this is\n    a long question\nnote: that names no role"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "And\nwhy?"},
    ]
    assert thread(text) == turns
    assert thread(line + "\r\n" for line in text.splitlines()) == turns


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no messages"),
        ("hello", "line 1 belongs to no turn"),
        ("\nuser: a\nassistant:\n", "turn of assistant is empty"),
    ],
)
def test_what_is_no_thread_says_where(text: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        thread(text)


def test_turns_by_turns() -> None:
    roles = [each["role"] for each in alternating(["a", "b", "c"], "s")]
    assert roles == ["system", "user", "assistant", "user"]
    with pytest.raises(BadRequest):
        alternating([])
    with pytest.raises(BadRequest):
        message("  ")


@given(
    st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text("ab: \n", min_size=1)), min_size=1, max_size=6)
)
def test_what_is_written_is_read_again(turns: list[tuple[str, str]]) -> None:
    kept = [(role, " ".join(text.split())) for role, text in turns if text.strip()]
    if kept:
        found = thread([f"{role}: {text}" for role, text in kept])
        assert [(each["role"], each["content"]) for each in found] == kept
