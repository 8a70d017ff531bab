# SPDX-License-Identifier: GPL-3.0-or-later
"""One answer with a draft and without, interleaved: tokens per second, and how many guesses were right.

    python benchmarks/speculation.py MODEL.gguf DRAFT.gguf [--draft-tokens 2,4,8] [--tokens 128] [--reps 5] [--fresh]

A draft that is always wrong shows what guessing costs at worst (a few per cent: it rests where it does not pay), one
that is the model itself in a smaller quantisation what it gains at best on this machine. With `--fresh` each answer
begins anew to find out whether guessing pays, as the first one of a worker does: that is the price of it.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from pathlib import Path

from llama_orch.engine.engine import Engine
from llama_orch.engine.records import EngineOptions, Event, Failed, Finished, Request, Sampling
from llama_orch.engine.speculation.pace import Pace

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

    def forget(self) -> None:
        """What guessing has cost and gained so far."""
        speculation = self.engine._scheduler.speculation  # noqa: SLF001 - a benchmark of the inside
        assert speculation is not None
        speculation.pace = Pace()

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
    parser.add_argument("--fresh", action="store_true")
    given = parser.parse_args()
    plain = Answering(given.model, None, None)
    print("| guesses | tokens/s: with, without | ratio; the worst | right guesses |\n|---|---|---|---|")
    for most in map(int, given.draft_tokens.split(",")):
        helped = Answering(given.model, given.draft, most)
        rates: list[tuple[float, float]] = []
        for each in (helped, plain):
            each.rate(PROMPTS[0], 16)  # reads the files
        for turn in range(given.reps):
            prompt = PROMPTS[turn % len(PROMPTS)]
            if given.fresh:
                helped.forget()
            both = [(0, helped), (1, plain)] if turn % 2 else [(1, plain), (0, helped)]
            found = {number: each.rate(prompt, given.tokens) for number, each in both}
            rates.append((found[0], found[1]))
        counters = helped.engine.snapshot().counters
        with_, without = (statistics.median(each) for each in zip(*rates, strict=True))
        ratios = [a / b for a, b in rates]
        ratio, worst = statistics.median(ratios), min(ratios)
        right = counters.accepted_tokens / max(1, counters.proposed_tokens)
        told = f"{ratio:.2f}; {worst:.2f} | {right:.0%} of {counters.proposed_tokens}"
        print(f"| {most} | {with_:.1f}, {without:.1f} | {told} |")
        helped.engine.close()
    plain.engine.close()


if __name__ == "__main__":
    main()
