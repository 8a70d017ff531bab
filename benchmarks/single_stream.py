# SPDX-License-Identifier: GPL-3.0-or-later
"""One stream over HTTP beside llama-bench's bare `tg` loop, interleaved, and the share of Python in a step.

    python benchmarks/single_stream.py MODEL.gguf --llama-bench FILE [--reps 5] [--tokens 64] [--json]

Ours is our worker, asked over loopback; the rate runs from its first token to its last, as llama-bench's does. Python's
share is everything of a step that is not llama_decode, from the engine's own counters, at 1 and at 16 streams.
"""

from __future__ import annotations

import argparse
import json
import queue
import statistics
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "serving"))

from servers import Server, Shape


def ours(port: int, tokens: int, seed: int) -> float:
    """Tokens per second of one stream, between its first and its last token."""
    body = {
        "model": "bench",
        "messages": [{"role": "user", "content": f"{seed}"}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    times, usage = [], {}
    for line in connection.getresponse():
        if line.startswith(b"data: {"):
            chunk = json.loads(line[6:])
            usage = chunk.get("usage") or usage
            if chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
                times.append(time.perf_counter())
    return (usage["completion_tokens"] - 1) / (times[-1] - times[0])


def bare(binary: str, model: Path, tokens: int, threads: int) -> float:
    """llama-bench's tokens per second for the same number of tokens."""
    command = [binary, "-m", str(model), "-p", "0", "-n", str(tokens), "-t", str(threads), "-r", "1", "-o", "json"]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return json.loads(done.stdout)[0]["avg_ts"]


def python_share(model: Path, streams: int, threads: int, tokens: int) -> float:
    """Seconds outside llama_decode divided by seconds inside, over the decode steps of `streams` requests."""
    from llama_orch.engine.engine import Engine
    from llama_orch.engine.records import EngineOptions, Failed, Finished, Request, Sampling, Started

    arrived: queue.Queue[object] = queue.Queue()
    options = EngineOptions(slots=streams, context=512, threads=threads)
    with Engine.load(model, options, lambda events: [arrived.put(event) for _, event in events]) as engine:
        for number in range(streams):
            engine.submit(Request([number + 1] * 16, Sampling(temperature=0), max_tokens=tokens))
        _count(arrived, Started, streams)
        before = engine.snapshot().counters
        began = (before.step_seconds, before.decode_seconds)
        _count(arrived, (Finished, Failed), streams)
        after = engine.snapshot().counters
        inside = after.decode_seconds - began[1]
        return (after.step_seconds - began[0] - inside) / inside


def _count(arrived: queue.Queue[object], kind: object, wanted: int) -> None:
    while wanted:
        wanted -= isinstance(arrived.get(), kind)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--llama-bench", required=True)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as logs:
        server = Server("orch", Shape(arguments.model, 1, 1024, arguments.threads), "", Path(logs, "orch.log"))
        try:
            ours(server.port, 4, 0)
            for rep in range(arguments.reps):
                pair = [
                    lambda rep=rep: ours(server.port, arguments.tokens, rep + 1),
                    lambda: bare(arguments.llama_bench, arguments.model, arguments.tokens, arguments.threads),
                ]
                first = rep % 2
                results = {first: pair[first](), 1 - first: pair[1 - first]()}
                rows.append((results[0], results[1]))
                print(f"# ours {results[0]:.2f}, llama-bench {results[1]:.2f}", file=sys.stderr, flush=True)
        finally:
            server.stop()
    shares = {n: python_share(arguments.model, n, arguments.threads, arguments.tokens) for n in (1, 16)}
    report = {
        "ours": statistics.median(row[0] for row in rows),
        "llama_bench": statistics.median(row[1] for row in rows),
        "ratio": statistics.median(row[0] / row[1] for row in rows),
        "python_share": shares,
    }
    if arguments.json:
        print(json.dumps(report))
        return
    print(f"ours {report['ours']:.2f}, llama-bench {report['llama_bench']:.2f} tokens/s, ratio {report['ratio']:.3f}")
    print(", ".join(f"Python at {n} streams: {share:.2%} of llama_decode" for n, share in shares.items()))


if __name__ == "__main__":
    main()
