# SPDX-License-Identifier: GPL-3.0-or-later
"""Aggregate tokens per second over HTTP: our worker beside llama-server (and llama_cpp.server), interleaved.

    python benchmarks/serving MODEL.gguf --llama-server FOLDER [--python-server PYTHON] [--reps 5] [--json FILE]

Per round every server gets the same requests, one after the other, in an order that rotates; a figure is the median
over the rounds of the ratio within a round. "CPU" is the server's CPU seconds per output token, which a busy machine
disturbs least.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from load import Outcome, run_round
from prompts import body, words
from servers import Server, Shape


def tokenizer_of(model: Path):
    """Counts tokens with the model's own vocabulary; also its end-of-generation tokens."""
    import llama_cpp

    llama_cpp.llama_log_set(_quiet, None)
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    handle = llama_cpp.llama_model_load_from_file(str(model).encode(), params)
    vocab = llama_cpp.llama_model_get_vocab(handle)
    size = llama_cpp.llama_vocab_n_tokens(vocab)
    ends = [token for token in range(size) if llama_cpp.llama_vocab_is_eog(vocab, token)]

    def count(text: str) -> int:
        data = text.encode()
        return -llama_cpp.llama_tokenize(vocab, data, len(data), None, 0, False, False)

    return count, ends


def _make_quiet():
    import llama_cpp

    return llama_cpp.llama_log_callback(lambda *_: None)


_quiet = _make_quiet()


def requests_of(kind: str, streams: int, rng: random.Random, count, ends, output_tokens: int) -> list[bytes]:
    if kind == "unrelated":
        return [body(words(rng, 128 - 8, count), output_tokens, ends, "bench") for _ in range(streams)]
    prefix = words(rng, 512, count)
    return [body(f"{prefix} {words(rng, 16, count)}", output_tokens, ends, "bench") for _ in range(streams)]


def measure(server: Server, bodies: list[bytes]) -> tuple[Outcome, float]:
    before = server.cpu()
    outcome = run_round(server.port, bodies)
    return outcome, (server.cpu() - before) / outcome.output_tokens


def row_of(rep: int, kind: str, streams: int, server: str, outcome: Outcome, cpu: float) -> dict:
    return {
        "rep": rep,
        "kind": kind,
        "streams": streams,
        "server": server,
        "rate": outcome.rate,
        "cpu_ms": 1000 * cpu,
        "ttft": statistics.median(outcome.first_token),
        "output": outcome.output_tokens,
        "prompt": outcome.prompt_tokens,
        "cached": outcome.cached_tokens,
    }


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--llama-server", metavar="FOLDER", help="folder of the llama-server binary")
    parser.add_argument("--python-server", metavar="PYTHON", help="a Python with llama-cpp-python[server]")
    parser.add_argument(
        "--points", default="unrelated:1,unrelated:4,unrelated:8,unrelated:16,shared:4,shared:8,shared:16"
    )
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--output-tokens", type=int, default=64)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    arguments = parsed()
    points = [(kind, int(streams)) for kind, streams in (p.split(":") for p in arguments.points.split(","))]
    shape = Shape(arguments.model, max(streams for _, streams in points), arguments.context, arguments.threads)
    peers = {"orch": "", "llama-server": arguments.llama_server, "llama_cpp.server": arguments.python_server}
    count, ends = tokenizer_of(arguments.model)
    rng = random.Random(arguments.seed)
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as logs:
        servers = [
            Server(name, shape, peer, Path(logs) / f"{name}.log") for name, peer in peers.items() if peer is not None
        ]
        try:
            for server in servers:
                run_round(server.port, requests_of("unrelated", 1, rng, count, ends, 4))
            for rep in range(arguments.reps):
                for number, (kind, streams) in enumerate(points):
                    bodies = requests_of(kind, streams, rng, count, ends, arguments.output_tokens)
                    turn = (rep + number) % len(servers)
                    for server in servers[turn:] + servers[:turn]:
                        outcome, cpu = measure(server, bodies)
                        rows.append(row_of(rep, kind, streams, server.name, outcome, cpu))
                        print(rows[-1], file=sys.stderr, flush=True)
        finally:
            for server in servers:
                server.stop()
    report(rows, points)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


def report(rows: list[dict], points: list[tuple[str, int]]) -> None:
    names = list(dict.fromkeys(row["server"] for row in rows))
    print(
        "| workload | " + " | ".join(f"{name} tokens/s" for name in names) + " | ours ÷ peer (rate) | CPU peer ÷ ours |"
    )
    for kind, streams in points:
        here = [row for row in rows if (row["kind"], row["streams"]) == (kind, streams)]
        by = {name: {row["rep"]: row for row in here if row["server"] == name} for name in names}
        rates = [f"{statistics.median(row['rate'] for row in by[name].values()):.1f}" for name in names]
        ratios = [(statistics.median(by["orch"][rep]["rate"] / row["rate"] for rep, row in by[name].items()),
                   statistics.median(row["cpu_ms"] / by["orch"][rep]["cpu_ms"] for rep, row in by[name].items()))
                  for name in names[1:]]  # fmt: skip
        print(f"| {kind} × {streams} | " + " | ".join(rates) + " | " + ", ".join(f"{rate:.2f}" for rate, _ in ratios)
              + " | " + ", ".join(f"{cpu:.2f}" for _, cpu in ratios) + " |")  # fmt: skip


if __name__ == "__main__":
    main()
