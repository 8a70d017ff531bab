# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations to train on: a system prompt or none, up to four earlier turns, follow-ups."""

from __future__ import annotations

import random
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .augment import Augmenter, fill, load_augmenter
from .corpus import DATA, Corpus, FollowUp
from .off_topic import OffTopic, load_off_topic

OFF_TOPIC = "off_topic"
MAX_EARLIER = 4


@dataclass(frozen=True)
class Turn:
    """A question and the intent whose answer it gets."""

    question: str
    intent: str


@dataclass(frozen=True)
class Dialogue:
    """A system prompt (empty for none) and turns."""

    system: str
    turns: tuple[Turn, ...]


class Dialogues:
    """An endless, seeded source of dialogues over a corpus; `singles` is the share of those with one turn."""

    def __init__(self, corpus: Corpus, seed: int, folder: Path = DATA) -> None:
        self._rng = random.Random(seed)
        self._questions = corpus.by_intent()
        self._intents = sorted(self._questions)
        self._weights = [len(self._questions[i]) ** 0.6 for i in self._intents]
        self._followups = _by_intent(corpus.followups)
        self._augment: Augmenter = load_augmenter(folder)
        self._off_topic: OffTopic = load_off_topic(folder)
        self._systems = load_systems(folder)
        self.singles = 0.68

    def __iter__(self) -> Dialogues:
        return self

    def __next__(self) -> Dialogue:
        kind = self._rng.random()
        if kind < self.singles:
            turns = [self._single()]
        elif kind < 1 - (1 - self.singles) / 5 and self._followups:
            turns = self._follow_up()
        else:
            turns = [self._single() for _ in range(self._rng.randint(2, 3))]
        system = self._rng.choice(self._systems) if self._rng.random() < 0.2 else ""
        return Dialogue(system, tuple(turns[-MAX_EARLIER - 1 :]))

    def _single(self) -> Turn:
        if self._rng.random() < 0.09:
            return Turn(self._augment(self._off_topic(self._rng), self._rng), OFF_TOPIC)
        intent = self._rng.choices(self._intents, self._weights)[0]
        return self._ask(intent)

    def _ask(self, intent: str) -> Turn:
        question = fill(self._rng.choice(self._questions.get(intent, ["Tell me more."])), self._rng)
        if self._rng.random() < 0.85:
            question = self._augment(question, self._rng)
        return Turn(question, intent)

    def _follow_up(self) -> list[Turn]:
        intent = self._rng.choice(sorted(self._followups))
        followup = self._rng.choice(self._followups[intent])
        before = [self._single() for _ in range(self._rng.choice((0, 0, 0, 0, 0, 0, 1, 1, 2)))]
        question = followup.question
        if self._rng.random() < 0.6:
            question = self._augment(question, self._rng)
        first = self._ask(self._rng.choice(followup.first))
        return [*before, first, Turn(question, intent)]


def _by_intent(followups: list[FollowUp]) -> dict[str, list[FollowUp]]:
    groups: dict[str, list[FollowUp]] = {}
    for followup in followups:
        groups.setdefault(followup.intent, []).append(followup)
    return groups


def load_systems(folder: Path = DATA) -> list[str]:
    """System prompts that other programs send."""
    return tomllib.loads((folder / "augment.toml").read_text(encoding="utf-8"))["systems"]
