# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that nobody has seen before, so that the model does not hang its answer on a name."""

from __future__ import annotations

import random
import re

_WORDS = re.compile(r"\w+")
_ONSETS = _WORDS.findall("b br c ch d dr f fl g gr h j k kl l m n p pr qu r s sh sk st t tr v w y z")
_VOWELS = _WORDS.findall("a e i o u ai ee ia o ou")
_CODAS = [*_WORDS.findall("l m n r s t x ck nd rn ss th"), *[""] * 12]
_COMMON = _WORDS.findall(
    "Anna Ben Carla David Emma Farid Grace Hiro Ivan Julia Kofi Lena Mark Nina Omar Paula Quinn Rosa "
    "Sam Tara Uma Victor Wei Xenia Yusuf Zoe Acme Contoso Globex Initech Umbrella Vandelay Northwind "
    "Berlin Utrecht Lyon Porto Oslo Lagos Osaka Lima Dublin Kyoto Boston Delhi Nairobi Prague"
)


def invented(rng: random.Random) -> str:
    """A word of one to three syllables that sounds like a name."""
    syllables = rng.choice((1, 2, 2, 2, 3))
    return "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(syllables))


def any_name(rng: random.Random) -> str:
    """A common name or an invented one, capitalised."""
    return rng.choice(_COMMON) if rng.random() < 0.4 else invented(rng).capitalize()
