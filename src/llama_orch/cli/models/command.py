# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch models ...`, and the words `ls`, `show` and `rm`."""

from __future__ import annotations

import importlib
from typing import Any

from llama_orch.cli.command import Command, Group
from llama_orch.cli.models.link import LINK
from llama_orch.cli.models.ls import LS
from llama_orch.cli.models.prune import PRUNE
from llama_orch.cli.models.rm import RM
from llama_orch.cli.models.show import SHOW
from llama_orch.cli.models.verify import VERIFY

__all__ = ["LINK", "LS", "PRUNE", "RM", "SHOW", "VERIFY"]  # and MODELS, which is made on demand

# Commands of the group that live elsewhere: imported when the group is asked for, not with `orch ls`.
_ELSEWHERE = {"pull": "llama_orch.cli.pull.command", "fit": "llama_orch.cli.fit.command"}


def __getattr__(name: str) -> Group:
    """`MODELS`, the group: pull first, as a newcomer needs it."""
    if name != "MODELS":
        raise AttributeError(name)
    return Group(
        "models",
        "The models of this machine",
        (*_elsewhere("pull"), LS, SHOW, LINK, RM, VERIFY, PRUNE, *_elsewhere("fit")),
    )


def _elsewhere(word: str) -> tuple[Command[Any], ...]:
    return (getattr(importlib.import_module(_ELSEWHERE[word]), word.upper()),)
