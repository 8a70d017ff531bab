# SPDX-License-Identifier: Apache-2.0
"""Which particulars of a text stand in what it was made of: numbers, addresses, handles, names.

A name is known by its capital letter, so in languages that write every noun with one (German), only what looks like a
name there too counts: two capitalised words in a row, one after a title, one with capitals inside.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_ADDRESS = re.compile(
    r"(?:https?://|www\.)\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?<!\w)[@#]\w{2,}"
    r"|\b[\w-]+\.(?:com|org|net|io|eu|de|nl|co|ai)\b"
)
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
_SENTENCE = re.compile(r"(?<=[.!?:\n])\s+|\n")
_TITLES = frozenset(
    ["mr", "mrs", "ms", "dr", "prof", "herr", "frau", "mme", "mevrouw", "meneer", "señor", "señora", "sir", "madam"]
)
_NOUNS = frozenset(("german", "deutsch", "de", "luxembourgish", "lb"))
_OPENERS = frozenset(
    [
        "a",
        "about",
        "after",
        "all",
        "also",
        "am",
        "an",
        "and",
        "another",
        "any",
        "are",
        "as",
        "at",
        "be",
        "because",
        "been",
        "before",
        "being",
        "best",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "each",
        "either",
        "even",
        "every",
        "few",
        "first",
        "for",
        "from",
        "given",
        "good",
        "had",
        "happy",
        "has",
        "have",
        "he",
        "hello",
        "her",
        "here",
        "hi",
        "his",
        "hope",
        "how",
        "i",
        "if",
        "in",
        "instead",
        "is",
        "it",
        "its",
        "just",
        "kind",
        "let",
        "like",
        "many",
        "may",
        "maybe",
        "me",
        "might",
        "more",
        "most",
        "much",
        "my",
        "next",
        "no",
        "not",
        "now",
        "of",
        "on",
        "once",
        "one",
        "only",
        "open",
        "or",
        "other",
        "our",
        "out",
        "over",
        "people",
        "perhaps",
        "please",
        "quick",
        "regards",
        "same",
        "shall",
        "she",
        "should",
        "since",
        "so",
        "some",
        "someone",
        "still",
        "such",
        "sure",
        "teams",
        "than",
        "thank",
        "thanks",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "three",
        "to",
        "today",
        "together",
        "too",
        "two",
        "under",
        "until",
        "up",
        "us",
        "very",
        "was",
        "we",
        "well",
        "were",
        "what",
        "when",
        "where",
        "whether",
        "which",
        "while",
        "who",
        "why",
        "will",
        "with",
        "within",
        "without",
        "worth",
        "would",
        "yes",
        "yet",
        "you",
        "your",
    ]
)
_ENDINGS = ("ing", "ly", "ed")
_FIGURE = re.compile(r"\d[\d.,'’\u00a0\u202f ]*")
_NEAR = 1e-9


def particulars(text: str, language: str = "english") -> list[str]:
    """The addresses, handles, numbers and names in `text`, each once, in their order."""
    found: list[str] = []
    rest = text
    for form in (_ADDRESS, _NUMBER):
        found += [match.group().rstrip(".,;:!?)") for match in form.finditer(rest)]
        rest = form.sub(" ", rest)
    nouns = language.strip().lower() in _NOUNS
    for sentence in _SENTENCE.split(rest):
        found += _names(sentence, nouns=nouns)
    return list(dict.fromkeys(found))


def ungrounded(text: str, sources: Iterable[str], language: str = "english") -> list[str]:
    """The particulars of `text` that stand in none of the `sources`."""
    known = f" {' '.join(map(_plain, sources))} "
    return [each for each in particulars(text, language) if not _stands(_plain(each), known)]


def _names(sentence: str, *, nouns: bool) -> list[str]:
    words = _WORD.findall(sentence)
    capital = [word[0].isupper() and word not in ("I", "I'm", "I’m", "I'd", "I’d", "I'll", "I’ll") for word in words]
    found: list[str] = []
    for at, word in enumerate(words):
        if not capital[at]:
            continue
        inside = any(each.isupper() for each in word[1:])
        beside = (at + 1 < len(words) and capital[at + 1]) or (at > 1 and capital[at - 1])
        titled = at > 0 and words[at - 1].lower() in _TITLES
        opener = at == 0 and (word.lower() in _OPENERS or word.lower().endswith(_ENDINGS))
        counts = inside or titled or (beside and at > 0) if nouns else not opener
        if counts and word.lower() not in _TITLES:
            found.append(word)
    return found


def _stands(wanted: str, known: str) -> bool:
    """Whether it is there as a word of its own; a name may have lost its genitive s."""
    forms = [wanted, wanted.removesuffix("'s"), wanted.removesuffix("'")]
    return any(re.search(rf"(?<!\w){re.escape(each)}(?!\w)", known) for each in forms if each)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).replace("’", "'").casefold().split())


def stands(value: str | float, text: str) -> bool:
    """Whether a value stands in a text: words in any case and spacing, a number in any of its usual spellings."""
    if isinstance(value, str):
        return not value.strip() or _stands(_plain(value), f" {_plain(text)} ")
    return any(_same_number(each, float(value)) for each in _FIGURE.findall(text))


def _same_number(written: str, value: float) -> bool:
    """`1,234.50` and `1.234,50` are both 1234.5: which mark is the decimal one depends on where one lives."""
    plain = re.sub(r"[\s'’\u00a0\u202f]", "", written).rstrip(".,")
    readings = {plain.replace(",", ""), plain.replace(".", "").replace(",", "."), plain.replace(",", ".")}
    for each in readings:
        try:
            if abs(abs(float(each)) - abs(value)) < _NEAR:
                return True
        except ValueError:
            continue
    return False
