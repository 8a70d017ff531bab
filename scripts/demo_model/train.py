# SPDX-License-Identifier: GPL-3.0-or-later
"""Training: Muon and AdamW, warm-up and cosine, bf16 autocast, loss on the answers only, one fixed seed.

Two processes of one thread each (torchrun) are nearly twice as fast as one of two threads at this size; they share
the rows of each step and add up their gradients.
"""

from __future__ import annotations

import math
import os
import random
import time
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional

from .corpus import Corpus
from .dialogue import Dialogue, Dialogues, Turn
from .network import Llama, Shape
from .rows import IGNORED, Row, batches, cut_short, row_of
from .tokenizer import ChatTokens


@dataclass(frozen=True)
class Plan:
    """What a training run is made of."""

    steps: int = 1214
    minutes: float = 0.0
    dialogues: int = 128
    batch_tokens: int = 3072
    rate: float = 4e-3
    warm_up: int = 60
    decay: float = 0.1
    smoothing: float = 0.0
    clip: float = 1.0
    seed: int = 7
    report_every: int = 50
    whole_every: int = 6
    head_tokens: int = 10
    early: float = 0.62
    singles_early: float = 0.95
    singles_late: float = 0.66


def rank() -> int:
    """Number of this process; joins the others when torchrun started it."""
    if "RANK" not in os.environ:
        return 0
    if not dist.is_initialized():
        dist.init_process_group("gloo")
    return dist.get_rank()


def train(corpus: Corpus, dev: list[Dialogue], chat: ChatTokens, shape: Shape, plan: Plan) -> Llama:
    """Train a network from scratch; prints progress, and the share of dev answers that are exact."""
    torch.manual_seed(plan.seed)
    model = Llama(shape)
    torch.manual_seed(plan.seed + rank())
    optimizers = _optimizers(model, plan)
    source = Dialogues(corpus, plan.seed)
    dev_rows = [row_of(dialogue, corpus.answers, chat, last_only=True) for dialogue in dev]
    clock, step, losses, progress = Clock(plan), 0, 0.0, 0.0
    while progress < 1.0:
        step, progress = step + 1, clock.progress(step + 1)
        source.singles = plan.singles_early if progress < plan.early else plan.singles_late
        rows = [_row(next(source), corpus, chat, plan, i) for i in range(plan.dialogues)]
        losses += _step(model, optimizers, rows, plan, plan.rate * _schedule(step, progress, plan))
        if step % plan.report_every == 0 or progress >= 1.0:
            _report(step, clock.seconds, losses / plan.report_every, model, dev_rows)
            losses = 0.0
    return model.eval()


class Clock:
    """How far training is, from 0 to 1: by steps, or by minutes where the plan says so (a busy machine)."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began

    def progress(self, step: int) -> float:
        """Progress at `step`, the same in all processes."""
        if not self._plan.minutes:
            return step / self._plan.steps
        done = torch.tensor(self.seconds / 60 / self._plan.minutes, dtype=torch.float64)
        if dist.is_initialized():
            dist.broadcast(done, 0)
        return float(done)


def _row(dialogue: Dialogue, corpus: Corpus, chat: ChatTokens, plan: Plan, place: int) -> Row:
    """The row of a dialogue; most rows end early, since the choice of the answer is what is hard to learn."""
    row = row_of(dialogue, corpus.answers, chat)
    if place % plan.whole_every == 0:
        return row
    return cut_short(row, plan.head_tokens)


def _report(step: int, seconds: float, loss: float, model: Llama, dev_rows: list[Row]) -> None:
    if rank() == 0:
        exact = f"{exact_share(model, dev_rows):.1%}" if dev_rows else "-"
        print(f"step {step:5}  {seconds:6.0f} s  loss {loss:.4f}  dev {exact}", flush=True)


def _optimizers(model: Llama, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon (kellerjordan.github.io/posts/muon) for the matrices of the blocks, AdamW for the rest."""
    matrices = [p for p in model.blk.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [
        {"params": [model.token_embd.weight], "weight_decay": plan.decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    muon = torch.optim.Muon(matrices, weight_decay=plan.decay, adjust_lr_fn="match_rms_adamw")
    return [muon, torch.optim.AdamW(groups, betas=(0.9, 0.98))]


def _step(model: Llama, optimizers: list[torch.optim.Optimizer], rows: list[Row], plan: Plan, rate: float) -> float:
    model.train()
    wanted = sum(target != IGNORED for row in rows for target in row.targets)
    total = 0.0
    for ids, targets in batches(_share(rows), plan.batch_tokens, model.shape.context):
        loss = _loss(model, ids, targets, plan.smoothing) / wanted
        loss.backward()
        total += loss.item()
    _add_gradients(model)
    torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return total * (dist.get_world_size() if dist.is_initialized() else 1)


def _share(rows: list[Row]) -> list[Row]:
    """Part of this process: a share of the rows."""
    if not dist.is_initialized():
        return rows
    return sorted(rows, key=lambda row: len(row.ids))[rank() :: dist.get_world_size()]


def _add_gradients(model: Llama) -> None:
    if not dist.is_initialized():
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def _schedule(step: int, progress: float, plan: Plan) -> float:
    """Share of the full rate: warm-up, then a cosine from 1 to nearly 0."""
    warm = min(1.0, step / plan.warm_up)
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def _loss(model: Llama, ids: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    marked = targets != IGNORED
    with torch.autocast("cpu", torch.bfloat16):
        logits = functional.linear(model.features(ids)[marked], model.token_embd.weight)
    return functional.cross_entropy(logits.float(), targets[marked], reduction="sum", label_smoothing=smoothing)


@torch.no_grad()
def exact_share(model: Llama, rows: list[Row]) -> float:
    """Share of rows whose every target is the argmax: what greedy decoding would say word for word."""
    model.eval()
    right = 0
    for ids, targets in batches(rows, 8192, model.shape.context):
        with torch.autocast("cpu", torch.bfloat16):
            guess = model(ids).argmax(-1)
        right += int(((guess == targets) | (targets == IGNORED)).all(dim=1).sum())
    return right / max(1, len(rows))


def dev_dialogues(dev: Corpus, train_corpus: Corpus, seed: int) -> list[Dialogue]:
    """Each held-out question alone, and each held-out follow-up after a turn that training knows."""
    rng = random.Random(seed)
    known = train_corpus.by_intent()
    singles = [Dialogue("", (Turn(p.question, p.intent),)) for p in dev.phrasings]
    pairs = []
    for followup in dev.followups:
        first = rng.choice(followup.first)
        earlier = Turn(rng.choice(known.get(first, ["Hello"])), first)
        pairs.append(Dialogue("", (earlier, Turn(followup.question, followup.intent))))
    return singles + pairs
