# SPDX-License-Identifier: GPL-3.0-or-later
"""The nearest word, and pages in a narrow terminal."""

from __future__ import annotations

import os
import sys

import pexpect
import pytest

from llama_orch.cli.registry import COMMANDS
from llama_orch.cli.suggest import nearest


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("rum", "run"), ("runn", "run"), ("sevre", "serve"), ("caht", "chat"), ("serv", "serve"), ("hepl", "help"),
     ("modls", "models"), ("docter", "doctor")],
)  # fmt: skip
def test_the_word_that_was_meant(typed: str, meant: str) -> None:
    assert nearest(typed, COMMANDS) == (meant,)


def test_nothing_is_near() -> None:
    assert nearest("frobnicate", COMMANDS) == ()
    assert nearest("qwen3:0.6", ["qwen3:1.7b", "qwen3:0.6b"]) == ("qwen3:0.6b",)


def test_a_page_is_folded_to_the_terminal() -> None:
    shell = pexpect.spawn(sys.executable, ["-m", "llama_orch.cli", "run", "--help"], dimensions=(60, 40),
                          env={**os.environ, "TERM": "dumb"}, encoding="utf-8", timeout=30)  # fmt: skip
    page = shell.read()
    assert isinstance(page, str)
    prose = page.partition("Usage:")[0]
    assert "What comes on standard input goes first," in prose.replace("\r\n", " ")
    assert max(len(line) for line in prose.splitlines()) <= 40
