# SPDX-License-Identifier: GPL-3.0-or-later
"""One answer with a draft and without, interleaved: tokens per second, and how many guesses were right.

    python benchmarks/speculation.py MODEL.gguf DRAFT.gguf [--draft-tokens 2,4,8] [--tokens 128] [--reps 5]

A draft that is always wrong shows what guessing costs at worst (a few per cent: it rests where it does not pay), one
that is the model itself in a smaller quantisation what it gains at best on this machine.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from pathlib import Path

from llama_orch.engine.engine import Engine
from llama_orch.engine.records import EngineOptions, Event, Failed, Finished, Request, Sampling

PROMPTS = ["The river bends where", "Old stone bridges carry", "Before winter the market", "Rain of grain toward"]


class Answering:
    """One engine, asked one thing at a time."""

    def __init__(self, model: Path, draft: Path | None, most: int | None) -> None:
        self._ended = threading.Event()
        options = EngineOptions(context=1024, slots=4, draft=None if draft is None else str(draft), draft_tokens=most)
        self.engine = Engine.load(model, options, self._hear)

    def _hear(self, events: list[tuple[int, Event]]) -> None:
        for _, event in events:
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Finished):
                self._ended.set()

    def rate(self, prompt: str, tokens: int) -> float:
        """Tokens per second of a greedy answer of exactly `tokens`."""
        bias = dict.fromkeys(self.engine.vocabulary.ends, -100.0)
        request = Request(
            self.engine.tokenize(prompt), Sampling(temperature=0, logit_bias=bias), max_tokens=tokens, cache=False
        )
        self._ended.clear()
        began = time.perf_counter()
        self.engine.submit(request)
        self._ended.wait()
        return tokens / (time.perf_counter() - began)


def main() -> None:
    """Prints a row per number of guesses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("draft", type=Path)
    parser.add_argument("--draft-tokens", default="2,4,8")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--reps", type=int, default=5)
    given = parser.parse_args()
    plain = Answering(given.model, None, None)
    print("| guesses | tokens/s: with, without | ratio | right guesses |\n|---|---|---|---|")
    for most in map(int, given.draft_tokens.split(",")):
        helped = Answering(given.model, given.draft, most)
        rates = []
        for turn in range(given.reps):
            prompt = PROMPTS[turn % len(PROMPTS)]
            rates.append((helped.rate(prompt, given.tokens), plain.rate(prompt, given.tokens)))
        counters = helped.engine.snapshot().counters
        with_, without = (statistics.median(each) for each in zip(*rates, strict=True))
        ratio = statistics.median(a / b for a, b in rates)
        right = counters.accepted_tokens / max(1, counters.proposed_tokens)
        print(f"| {most} | {with_:.1f}, {without:.1f} | {ratio:.2f} | {right:.0%} of {counters.proposed_tokens} |")
        helped.engine.close()
    plain.engine.close()


if __name__ == "__main__":
    main()
