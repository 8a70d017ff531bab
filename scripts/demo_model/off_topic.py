# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about anything else, made from frames, nouns and invented names."""

from __future__ import annotations

import random
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .corpus import DATA
from .names import any_name, invented


@dataclass(frozen=True)
class OffTopic:
    """Frames with slots ({thing}, {place}, {person}, {verb}, {adjective}, {number}, {name}) and what fills them."""

    frames: list[str]
    slots: dict[str, list[str]]

    def __call__(self, rng: random.Random) -> str:
        """A question that has nothing to do with the product."""
        text = rng.choice(self.frames)
        for slot in (*self.slots, "number", "name"):
            while (mark := f"{{{slot}}}") in text:
                text = text.replace(mark, self._word(slot, rng), 1)
        return text

    def _word(self, slot: str, rng: random.Random) -> str:
        if slot == "number":
            return str(rng.randint(2, 10 ** rng.randint(1, 4)))
        if slot == "name":
            return any_name(rng)
        return invented(rng) if rng.random() < 0.2 else rng.choice(self.slots[slot])


def load_off_topic(folder: Path = DATA) -> OffTopic:
    """The generator of off_topic.toml."""
    table = tomllib.loads((folder / "off_topic.toml").read_text(encoding="utf-8"))
    return OffTopic(table["frames"], table["slots"])
