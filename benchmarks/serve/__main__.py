# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens per second and time to first token over HTTP: `orch serve` beside llama-server (and llama_cpp.server).

    python benchmarks/serve MODEL.gguf --llama-server FOLDER [--python-server PYTHON] [--reps 5] [--json FILE]

Per round every server gets the same requests, one after the other, in an order that rotates; a figure is the median
over the rounds of the ratio within a round. "CPU" is the server's CPU seconds per output token, which a busy machine
disturbs least. `--ours "orch worker"` measures a worker without the gateway in front of it.
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

from load import run_round
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


def prompts_of(kind: str, streams: int, rng: random.Random, count) -> list[str]:
    if kind == "unrelated":
        return [words(rng, 128 - 8, count) for _ in range(streams)]
    prefix = words(rng, 512, count)
    return [f"{prefix} {words(rng, 16, count)}" for _ in range(streams)]


def measure(server: Server, prompts: list[str], ends: list[int], output_tokens: int) -> dict:
    bodies = [body(prompt, output_tokens, ends, server.model) for prompt in prompts]
    before, serving = server.cpu(), server.serving_cpu()
    outcome = run_round(server.port, bodies)
    return {
        "server": server.name,
        "rate": outcome.rate,
        "cpu_ms": 1000 * (server.cpu() - before) / outcome.output_tokens,
        "serving_ms": 1000 * (server.serving_cpu() - serving) / outcome.output_tokens,
        "ttft": statistics.median(outcome.first_token),
        "output": outcome.output_tokens,
        "prompt": outcome.prompt_tokens,
        "cached": outcome.cached_tokens,
    }


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--ours", default="orch", choices=["orch", "orch worker"])
    parser.add_argument("--llama-server", metavar="FOLDER", help="folder of the llama-server binary")
    parser.add_argument("--python-server", metavar="PYTHON", help="a Python with llama-cpp-python[server]")
    parser.add_argument(
        "--points",
        default="unrelated:1,unrelated:4,unrelated:8,unrelated:16,unrelated:32,shared:4,shared:8,shared:16,shared:32",
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
    peers = {arguments.ours: "", "llama-server": arguments.llama_server, "llama_cpp.server": arguments.python_server}
    count, ends = tokenizer_of(arguments.model)
    rng = random.Random(arguments.seed)
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        servers = [Server(name, shape, peer, Path(folder)) for name, peer in peers.items() if peer is not None]
        try:
            for server in servers:
                measure(server, prompts_of("unrelated", 1, rng, count), ends, 4)
            for rep in range(arguments.reps):
                for number, (kind, streams) in enumerate(points):
                    prompts = prompts_of(kind, streams, rng, count)
                    turn = (rep + number) % len(servers)
                    for server in servers[turn:] + servers[:turn]:
                        row = measure(server, prompts, ends, arguments.output_tokens)
                        rows.append({"rep": rep, "kind": kind, "streams": streams, **row})
                        print(rows[-1], file=sys.stderr, flush=True)
        finally:
            for server in servers:
                server.stop()
    report(rows, points)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


def report(rows: list[dict], points: list[tuple[str, int]]) -> None:
    ours, *peers = dict.fromkeys(row["server"] for row in rows)
    print("| workload | tokens/s: " + ", ".join((ours, *peers)) + " | rate ÷ peer's | CPU: peer's ÷ ours "
          "| first token: ours s, ÷ peer's | HTTP and JSON, % of CPU |")  # fmt: skip
    for kind, streams in points:
        here = [row for row in rows if (row["kind"], row["streams"]) == (kind, streams)]
        by = {name: {row["rep"]: row for row in here if row["server"] == name} for name in (ours, *peers)}

        def middle(name: str, field: str, by: dict = by) -> float:
            return statistics.median(row[field] for row in by[name].values())

        def ratio(peer: str, field: str, by: dict = by) -> str:
            return f"{statistics.median(by[ours][rep][field] / row[field] for rep, row in by[peer].items()):.3f}"

        rates = ", ".join(f"{middle(name, 'rate'):.1f}" for name in (ours, *peers))
        firsts = f"{middle(ours, 'ttft'):.2f}; " + ", ".join(ratio(peer, "ttft") for peer in peers)
        cpu = ", ".join(f"{1 / float(ratio(peer, 'cpu_ms')):.3f}" for peer in peers)
        share = 100 * middle(ours, "serving_ms") / middle(ours, "cpu_ms")
        print(f"| {kind} × {streams} | {rates} | " + ", ".join(ratio(peer, "rate") for peer in peers)
              + f" | {cpu} | {firsts} | {share:.1f} |")  # fmt: skip


if __name__ == "__main__":
    main()
