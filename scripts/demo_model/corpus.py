# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand-written data: answers by intent, and the many ways in which people ask for them."""

from __future__ import annotations

import random
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Phrasing:
    """One way to ask for an intent."""

    question: str
    intent: str


@dataclass(frozen=True)
class FollowUp:
    """A question that makes sense only after a turn of one of the intents in `first`."""

    first: tuple[str, ...]
    question: str
    intent: str


@dataclass(frozen=True)
class Corpus:
    """Answers and questions; `answers` maps an intent's id to its text."""

    answers: dict[str, str]
    phrasings: list[Phrasing] = field(default_factory=list)
    followups: list[FollowUp] = field(default_factory=list)

    def by_intent(self) -> dict[str, list[str]]:
        """Questions grouped by intent."""
        groups: dict[str, list[str]] = {}
        for phrasing in self.phrasings:
            groups.setdefault(phrasing.intent, []).append(phrasing.question)
        return groups


def load_answers(folder: Path = DATA) -> dict[str, str]:
    """Read answers.toml: intent id to answer."""
    table = tomllib.loads((folder / "answers.toml").read_text(encoding="utf-8"))
    return {intent: entry["answer"] for intent, entry in table.items()}


def load_keys(folder: Path = DATA) -> dict[str, list[list[str]]]:
    """Read the key words of answers.toml: a right answer holds one alternative of each group."""
    table = tomllib.loads((folder / "answers.toml").read_text(encoding="utf-8"))
    return {intent: entry["keys"] for intent, entry in table.items()}


def load(folder: Path = DATA) -> dict[str, Corpus]:
    """Read all voices: the stem of each file of questions/ to its corpus."""
    answers = load_answers(folder)
    files = sorted((folder / "questions").glob("*.toml"))
    return {file.stem: _load_voice(file, answers) for file in files}


def _load_voice(file: Path, answers: dict[str, str]) -> Corpus:
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    followups = [_follow_up(entry) for entry in table.pop("followup", [])]
    phrasings = [
        Phrasing(question.strip(), intent) for intent, entry in table.items() for question in entry["phrasings"]
    ]
    known = [phrasing for phrasing in phrasings if phrasing.intent in answers]
    _warn_unknown(file, {p.intent for p in phrasings} - answers.keys())
    return Corpus(answers, known, [f for f in followups if f.intent in answers])


def _warn_unknown(file: Path, intents: set[str]) -> None:
    if intents:
        print(f"{file.name}: no answer for {', '.join(sorted(intents))}; left out", flush=True)


def _follow_up(entry: dict[str, str | list[str]]) -> FollowUp:
    first = entry["first"]
    names = (first,) if isinstance(first, str) else tuple(first)
    return FollowUp(names, str(entry["question"]).strip(), str(entry["id"]))


def merge(voices: list[Corpus]) -> Corpus:
    """One corpus of several."""
    return Corpus(
        voices[0].answers,
        [phrasing for voice in voices for phrasing in voice.phrasings],
        [followup for voice in voices for followup in voice.followups],
    )


def split(voices: dict[str, Corpus], held_voice: str, share: float, seed: int) -> tuple[Corpus, Corpus]:
    """Training and development corpus: one whole voice and a random share of the others are held out."""
    rng = random.Random(seed)
    held = [voices[held_voice]] if held_voice in voices else []
    train: list[Corpus] = []
    for name, voice in voices.items():
        if name == held_voice:
            continue
        kept, out = _split_voice(voice, share, rng)
        train.append(kept)
        held.append(out)
    return merge(train), merge(held)


def _split_voice(voice: Corpus, share: float, rng: random.Random) -> tuple[Corpus, Corpus]:
    out_p = [rng.random() < share for _ in voice.phrasings]
    out_f = [rng.random() < share for _ in voice.followups]
    return tuple(  # type: ignore[return-value]
        replace(
            voice,
            phrasings=[p for p, out in zip(voice.phrasings, out_p, strict=True) if out is wanted],
            followups=[f for f, out in zip(voice.followups, out_f, strict=True) if out is wanted],
        )
        for wanted in (False, True)
    )
