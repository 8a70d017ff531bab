# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a GGUF against its training side: `python -m scripts.demo_model.check MODEL.gguf WORK_FOLDER`.

Training writes `texts.json` (texts and their ids) and `argmax.json` (ids and the argmax after each of them).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from .gguf_chat import GgufChat


def check(model: Path, work: Path) -> None:
    """Print how many texts are tokenised alike and how many argmaxes agree; ask twice for determinism."""
    chat = GgufChat(model)
    texts = json.loads((work / "texts.json").read_text(encoding="utf-8"))
    same = sum(chat.tokens(text) == ids for text, ids in texts)
    print(f"tokenisation equal in {same} of {len(texts)} texts")
    pairs = json.loads((work / "argmax.json").read_text(encoding="utf-8"))
    agreed = [_agreement(chat, ids, expected) for ids, expected in pairs]
    print(f"argmax equal in {sum(a for a, _ in agreed)} of {sum(n for _, n in agreed)} answer positions")
    question = [{"role": "user", "content": "What is the Public Tap?"}]
    answers = {GgufChat(model).answer(question), chat.answer(question), chat.answer(question)}
    print(f"What is the Public Tap? {answers.pop()} ({'deterministic' if not answers else 'NOT THE SAME TWICE'})")


def _agreement(chat: GgufChat, ids: list[int], expected: list[int]) -> tuple[int, int]:
    llama = chat.llama
    llama._logits_all = True  # noqa: SLF001 - the only way to see the logits of a prompt
    llama.reset()
    llama.eval(ids)
    guess = np.asarray(llama.scores[: len(ids)]).argmax(-1)
    marked = [(g, e) for g, e in zip(guess.tolist(), expected, strict=True) if e >= 0]
    return sum(g == e for g, e in marked), len(marked)


if __name__ == "__main__":
    check(Path(sys.argv[1]), Path(sys.argv[2]))
