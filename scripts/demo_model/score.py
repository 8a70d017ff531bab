# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores a GGUF by key words: `python -m scripts.demo_model.score MODEL.gguf QUESTIONS.json`.

The question file is a list of `{"kind", "turns": [question, ...], "keys": [[alternative, ...], ...]}`; the last
answer must hold, in any case, one alternative of each group. An optional "system" is sent first.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TypedDict

from .gguf_chat import GgufChat


class Item(TypedDict, total=False):
    """One question of the exam."""

    kind: str
    turns: list[str]
    keys: list[list[str]]
    system: str


def passes(answer: str, keys: list[list[str]]) -> bool:
    """Whether the answer holds one alternative of each group."""
    low = answer.lower()
    return all(any(word.lower() in low for word in group) for group in keys)


def score(model: Path, questions: Path, *, show_misses: bool = True) -> float:
    """Ask all questions, print the score by kind, return the share of passes."""
    chat = GgufChat(model)
    results: dict[str, list[bool]] = defaultdict(list)
    items: list[Item] = json.loads(questions.read_text(encoding="utf-8"))
    for item in items:
        answer = chat.converse(item["turns"], item.get("system", ""))[-1]
        results[item.get("kind", "all")].append(passes(answer, item["keys"]))
        if show_misses and not results[item.get("kind", "all")][-1]:
            print(f"miss: {' / '.join(item['turns'])}\n      {answer}", flush=True)
    for kind, passed in sorted(results.items()):
        print(f"{kind:16} {sum(passed):4} of {len(passed):4}  {sum(passed) / len(passed):.0%}")
    every = [ok for passed in results.values() for ok in passed]
    print(f"{'all':16} {sum(every):4} of {len(every):4}  {sum(every) / len(every):.1%}")
    return sum(every) / len(every)


if __name__ == "__main__":
    score(Path(sys.argv[1]), Path(sys.argv[2]))
