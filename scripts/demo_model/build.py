# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole build: data, tokenizer, training, export, and files to check and score the result with."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from .corpus import Corpus, load, load_keys, merge, split
from .dialogue import Dialogue, Dialogues, load_systems
from .export import export
from .network import Llama, Shape
from .rows import IGNORED, row_of
from .tokenizer import ChatTokens, train_tokenizer
from .train import Plan, dev_dialogues, rank, train


@dataclass(frozen=True)
class Build:
    """Where a build writes, and how it trains."""

    output: Path
    work: Path
    shape: Shape
    plan: Plan
    held_voice: str
    held_share: float
    use_all: bool


def build(job: Build) -> None:
    """Run all steps and say what each of them made."""
    job.work.mkdir(parents=True, exist_ok=True)
    voices = load()
    corpus, dev_corpus = split(voices, job.held_voice, job.held_share, job.plan.seed)
    dev = dev_dialogues(dev_corpus, corpus, job.plan.seed)
    if job.use_all:
        corpus = merge(list(voices.values()))
    tell(f"{len(corpus.answers)} answers, {len(corpus.phrasings)} phrasings, {len(corpus.followups)} follow-ups")
    tell("nothing held out of training" if job.use_all else f"{len(dev)} questions held out of training")
    tokenizer = train_tokenizer(_tokenizer_texts(corpus, job.plan.seed), job.shape.vocab)
    tokenizer.save(str(job.work / "tokenizer.json"))
    write_dev(dev, job.work / "dev.json")
    chat = ChatTokens(tokenizer)
    model = train(corpus, dev, chat, job.shape, job.plan)
    if rank():
        return
    export(model, tokenizer, job.output)
    parameters = sum(p.numel() for p in model.parameters())
    tell(f"{job.output}: {parameters:,} parameters, {job.output.stat().st_size / 1e6:.2f} MB")
    write_checks(model, tokenizer, chat, corpus, job)


def tell(line: str) -> None:
    """Print a line once, however many processes there are."""
    if rank() == 0:
        print(line, flush=True)


def _tokenizer_texts(corpus: Corpus, seed: int) -> list[str]:
    dialogues = itertools.islice(Dialogues(corpus, seed + 1), 15_000)
    asked = [turn.question for dialogue in dialogues for turn in dialogue.turns]
    return [*corpus.answers.values(), *asked, *(load_systems() * 5)]


def write_dev(dev: list[Dialogue], path: Path) -> None:
    """Held-out questions in the form that score.py reads."""
    keys = load_keys()
    items = [
        {
            "kind": "follow-up" if len(dialogue.turns) > 1 else "single",
            "intent": dialogue.turns[-1].intent,
            "turns": [turn.question for turn in dialogue.turns],
            "keys": keys[dialogue.turns[-1].intent],
        }
        for dialogue in dev
    ]
    path.write_text(json.dumps(items, indent=1, ensure_ascii=False), encoding="utf-8")


def write_checks(model: Llama, tokenizer: Tokenizer, chat: ChatTokens, corpus: Corpus, job: Build) -> None:
    """Texts with their ids, and rows with their argmax, for check.py."""
    dialogues = list(itertools.islice(Dialogues(corpus, job.plan.seed + 2), 1500))
    asked = [turn.question for dialogue in dialogues for turn in dialogue.turns]
    odd = [
        "naïve café – €1.20 “quoted” 😀",
        "  two  spaces\n\nand\ttabs ",
        "日本語 Привет",
        "x=1;y==2 don't CAN'T 12345",
    ]
    texts = [*odd, *corpus.answers.values(), *asked]
    pairs = [(text, tokenizer.encode(text, add_special_tokens=False).ids) for text in texts]
    (job.work / "texts.json").write_text(json.dumps(pairs), encoding="utf-8")
    rows = [row_of(dialogue, corpus.answers, chat) for dialogue in dialogues[:40]]
    argmax = [(row.ids[:512], _argmax(model, row.ids[:512], row.targets[:512])) for row in rows]
    (job.work / "argmax.json").write_text(json.dumps(argmax), encoding="utf-8")


@torch.no_grad()
def _argmax(model: Llama, ids: list[int], targets: list[int]) -> list[int]:
    guess = model(torch.tensor([ids])).argmax(-1)[0].tolist()
    return [g if target != IGNORED else -1 for g, target in zip(guess, targets, strict=True)]
