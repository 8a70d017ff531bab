# SPDX-License-Identifier: GPL-3.0-or-later
"""Dialogues as token rows, with a mark on the tokens that the model must learn: the answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .dialogue import Dialogue
from .tokenizer import ChatTokens

IGNORED = -100


@dataclass(frozen=True)
class Row:
    """Ids of a dialogue; `targets[i]` is the id to predict after `ids[i]`, or IGNORED."""

    ids: list[int]
    targets: list[int]


def row_of(dialogue: Dialogue, answers: dict[str, str], chat: ChatTokens, *, last_only: bool = False) -> Row:
    """Render a dialogue; with `last_only` the targets are those of the last answer alone."""
    ids = chat.message("system", dialogue.system) if dialogue.system else []
    marks = [False] * len(ids)
    for i, turn in enumerate(dialogue.turns):
        question = [*chat.message("user", turn.question), *chat.header("assistant")]
        answer = chat.answer(answers[turn.intent])
        wanted = not last_only or i == len(dialogue.turns) - 1
        ids += [*question, *answer, *chat.newline]
        marks += [False] * len(question) + [wanted] * len(answer) + [False] * len(chat.newline)
    targets = [i if mark else IGNORED for i, mark in zip(ids[1:], marks[1:], strict=True)]
    return Row(ids[:-1], targets)


def cut_short(row: Row, kept: int) -> Row:
    """The row up to the first `kept` tokens of its last answer."""
    last = len(row.targets) - 1
    while row.targets[last] == IGNORED:
        last -= 1
    first = last
    while first and row.targets[first - 1] != IGNORED:
        first -= 1
    end = min(first + kept, last + 1)
    return Row(row.ids[:end], row.targets[:end])


def batches(rows: list[Row], tokens: int, context: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of at most `tokens` tokens, of rows of like length; longer rows lose their beginning."""
    pending: list[Row] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        width = _width(len(row.ids), context)
        if pending and (width * (len(pending) + 1) > tokens or width > 1.4 * len(pending[0].ids) + 4):
            yield _stack(pending, context)
            pending = []
        pending.append(row)
    if pending:
        yield _stack(pending, context)


def _width(length: int, context: int) -> int:
    return min(context, -(-length // 8) * 8)


def _stack(rows: list[Row], context: int) -> tuple[Tensor, Tensor]:
    width = _width(max(len(row.ids) for row in rows), context)
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    targets = torch.full((len(rows), width), IGNORED, dtype=torch.long)
    for i, row in enumerate(rows):
        cut = min(len(row.ids), width)
        ids[i, :cut] = torch.tensor(row.ids[-cut:])
        targets[i, :cut] = torch.tensor(row.targets[-cut:])
    return ids, targets
