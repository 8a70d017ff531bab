# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds answers of a random-weight model to every schema of the corpus, and prints what became of them.

python tests/schemas/run_all.py [SEED]
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "scripts")]


def main() -> int:
    import corpus
    from conftest import Answers

    import make_gguf
    from llama_orch.engine.engine import Engine
    from llama_orch.engine.records import EngineOptions

    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(2**32)
    began, rng, answers = time.process_time(), random.Random(seed), Answers()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.gguf"
        make_gguf.write_decoder(str(path), "tiny", "f32", 0)
        with Engine.load(path, EngineOptions(context=512, slots=8, threads=1), answers) as engine:
            entries = corpus.everything()
            tally, wrong = corpus.hold(engine, answers, entries, rng)
    print(
        f"seed {seed}: {len(entries)} schemas, {tally.refused} refused; answers: {tally.stopped} ended by themselves,"
    )
    print(f"{tally.cut} cut, {tally.unsure} not to be judged; {len(wrong)} wrong; {time.process_time() - began:.0f} s")
    print("\n".join(wrong))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
