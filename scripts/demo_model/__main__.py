# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the demo model: `python -m scripts.demo_model` from the repository's root, or `python scripts/demo_model`."""

from __future__ import annotations

import argparse
import random
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if not __package__:
    sys.path.insert(0, str(ROOT))

from scripts.demo_model.build import Build, build  # noqa: E402 - after the path is set
from scripts.demo_model.network import Shape  # noqa: E402
from scripts.demo_model.train import Plan  # noqa: E402

OUTPUT = ROOT / "src/llama_orch/models/demo/orch-demo.gguf"


def main() -> None:
    """Parse the options and build."""
    parser = argparse.ArgumentParser(prog="demo_model", description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--work", type=Path, default=Path("/tmp/orch-demo"), help="for intermediate files")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--minutes", type=float, default=Plan.minutes, help="instead of --steps")
    parser.add_argument("--layers", type=int, default=Shape.layers)
    parser.add_argument("--hidden", type=int, default=Shape.hidden)
    parser.add_argument("--vocab", type=int, default=Shape.vocab)
    parser.add_argument("--dropout", type=float, default=Shape.dropout)
    parser.add_argument("--rate", type=float, default=Plan.rate)
    parser.add_argument("--decay", type=float, default=Plan.decay)
    parser.add_argument("--held-voice", default="teenager")
    parser.add_argument("--held-share", type=float, default=0.0, help="of each other voice")
    parser.add_argument("--all", action="store_true", help="train on the development set as well")
    options = parser.parse_args()
    shape = replace(Shape(), layers=options.layers, hidden=options.hidden, vocab=options.vocab, dropout=options.dropout)
    plan = replace(Plan(), steps=options.steps, minutes=options.minutes, rate=options.rate, decay=options.decay)
    random.seed(plan.seed)
    build(Build(options.output, options.work, shape, plan, options.held_voice, options.held_share, options.all))


if __name__ == "__main__":
    main()
