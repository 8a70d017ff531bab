# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes to a question that leave its meaning alone: synonyms, typos, chatter around it, case."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .corpus import DATA
from .names import any_name

Change = Callable[[str, random.Random], str]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LITTLE = frozenset(
    re.findall(
        r"\w+", "a an and are can do does for from i in is it me my of on so some that the there this to with you your"
    )
)
_WORD = re.compile(r"[A-Za-z]+")


@dataclass(frozen=True)
class Augmenter:
    """Applies a random choice of changes, from the tables of augment.toml."""

    synonyms: dict[str, list[str]]
    contractions: dict[str, str]
    openers: list[str]
    closers: list[str]
    fillers: list[str]

    def __call__(self, question: str, rng: random.Random) -> str:
        """A variant of `question`."""
        for chance, change in self._changes():
            if rng.random() < chance:
                question = change(question, rng)
        return " ".join(question.split()) or "?"

    def _changes(self) -> list[tuple[float, Change]]:
        return [
            (0.55, self._swap_words),
            (0.15, self._contract),
            (0.12, _drop_words),
            (0.06, self._add_filler),
            (0.28, self._open),
            (0.16, self._close),
            (0.18, _typo),
            (0.45, _lower),
            (0.03, _upper),
            (0.35, _drop_end),
            (0.08, _drop_marks),
            (0.08, _double_end),
            (0.25, _capital),
        ]

    def _swap_words(self, question: str, rng: random.Random) -> str:
        for word, others in self._found(question):
            if rng.random() < 0.45:
                question = _replace_word(question, word, rng.choice(others))
        return question

    def _found(self, question: str) -> list[tuple[str, list[str]]]:
        low = f" {re.sub(r'[^a-z0-9-]+', ' ', question.lower())} "
        return [(word, others) for word, others in self.synonyms.items() if f" {word} " in low]

    def _contract(self, question: str, _rng: random.Random) -> str:
        for long, short in self.contractions.items():
            question = re.sub(rf"\b{long}\b", short, question, flags=re.IGNORECASE)
        return question

    def _open(self, question: str, rng: random.Random) -> str:
        opener = fill(rng.choice(self.openers), rng)
        keep = question[:2].isupper() or question[:2] == "I " or opener.endswith((".", "!", "?"))
        return f"{opener} {question if keep else question[:1].lower() + question[1:]}"

    def _close(self, question: str, rng: random.Random) -> str:
        return f"{question} {fill(rng.choice(self.closers), rng)}"

    def _add_filler(self, question: str, rng: random.Random) -> str:
        words = question.split()
        words.insert(rng.randint(0, len(words)), rng.choice(self.fillers))
        return " ".join(words)


def load_augmenter(folder: Path = DATA) -> Augmenter:
    """The augmenter of augment.toml; each synonym group works in all directions."""
    table = tomllib.loads((folder / "augment.toml").read_text(encoding="utf-8"))
    synonyms: dict[str, list[str]] = {}
    for group in table["synonyms"]:
        for word in group:
            synonyms.setdefault(word, []).extend(other for other in group if other != word)
    return Augmenter(synonyms, table["contractions"], table["openers"], table["closers"], table["fillers"])


def fill(template: str, rng: random.Random) -> str:
    """Put random names where a template says {name}."""
    while "{name}" in template:
        template = template.replace("{name}", any_name(rng), 1)
    return template


def _replace_word(question: str, word: str, other: str) -> str:
    return re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", other, question, count=1, flags=re.IGNORECASE)


def _drop_words(question: str, rng: random.Random) -> str:
    words = question.split()
    places = [i for i, word in enumerate(words) if word.lower() in _LITTLE]
    if places and len(words) > 3:
        del words[rng.choice(places)]
    return " ".join(words)


def _typo(question: str, rng: random.Random) -> str:
    for _ in range(rng.choice((1, 1, 2))):
        places = [m for m in _WORD.finditer(question) if len(m.group()) > 3]
        if places:
            at = rng.choice(places)
            question = question[: at.start()] + _misspell(at.group(), rng) + question[at.end() :]
    return question


def _misspell(word: str, rng: random.Random) -> str:
    i = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return word[:i] + word[i + 1 :]
    if kind == 1:
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    if kind == 2:
        return word[:i] + word[i] + word[i:]
    return word[:i] + rng.choice(_LETTERS) + word[i + 1 :]


def _lower(question: str, _rng: random.Random) -> str:
    return question.lower()


def _upper(question: str, _rng: random.Random) -> str:
    return question.upper()


def _capital(question: str, _rng: random.Random) -> str:
    return question[:1].upper() + question[1:]


def _drop_end(question: str, _rng: random.Random) -> str:
    return question.rstrip("?.! ")


def _drop_marks(question: str, _rng: random.Random) -> str:
    return re.sub(r"[?.!,;:'`\"]", "", question)


def _double_end(question: str, rng: random.Random) -> str:
    return question.rstrip("?.! ") + rng.choice(("??", "!", "...", "?!", " ?", "."))
