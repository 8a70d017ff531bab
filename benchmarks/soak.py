# SPDX-License-Identifier: GPL-3.0-or-later
"""Half an hour of clients that come and go: memory, slots, and every answer's form.

    python benchmarks/soak.py [--minutes 30] [--clients 24] [--model MODEL] [--seed N]

Clients of every dialect, streaming and not, send to one `orch serve`; two in five leave at a random moment. Each answer
that is read to its end must be well-formed. Prints the resident memory of gateway and worker once a minute; at the end
all slots must answer at once, and the memory of the second half must not have grown by more than 2 %.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

QUESTIONS = ["What is the Public Tap?", "How do I stop paying?", "Tell me about applets.", "Hi!", "Who are you?"]


def bodies(rng: random.Random, model: str) -> tuple[str, dict]:
    """A path and a request of a random dialect."""
    stream, text, most = rng.random() < 0.7, rng.choice(QUESTIONS) * rng.randint(1, 5), rng.choice([8, 64, 300])
    chat = [{"role": "user", "content": text}]
    kinds = {
        "/v1/chat/completions": {"messages": chat, "max_tokens": most, "stream": stream},
        "/v1/completions": {"prompt": text, "max_tokens": most, "stream": stream},
        "/v1/responses": {"input": text, "max_output_tokens": max(16, most), "stream": stream, "store": False},
        "/v1/messages": {"messages": chat, "max_tokens": most, "stream": stream},
        "/api/chat": {"messages": chat, "options": {"num_predict": most}, "stream": stream},
        "/v1/embeddings": {"input": text},
        "/tokenize": {"content": text},
    }
    weights = [6, 2, 3, 3, 3, 0.3, 0.7]
    path = rng.choices(list(kinds), weights)[0]
    body = kinds[path] | {"model": model}
    if path == "/v1/chat/completions" and rng.random() < 0.2:
        schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"],
                  "additionalProperties": False}  # fmt: skip
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    return path, body


def problem(path: str, status: int, head: bytes, data: bytes) -> str | None:
    """What is wrong with an answer, None if nothing is."""
    if b"x-orch-request-id" not in head.lower():
        return "no request id"
    if path == "/v1/embeddings":
        return None if status == 400 and b"embeddings" in data else f"embeddings: {status}"
    if status == 429:
        return None if b"retry-after" in head.lower() else "429 without Retry-After"
    if status != 200:
        return f"status {status}: {data[:200]!r}"
    if b"event-stream" in head.lower():
        ends = (b"data: [DONE]\n\n", b'{"type": "message_stop"}\n\n')
        events = [line[6:] for line in data.split(b"\n") if line.startswith(b"data: ") and line[6:] != b"[DONE]"]
        for event in events:
            json.loads(event)
        return None if data.endswith(ends) or b'"type":"message_stop"' in data[-80:] else f"cut: {data[-120:]!r}"
    if b"x-ndjson" in head.lower():
        lines = [json.loads(line) for line in data.splitlines()]
        return None if lines[-1]["done"] is True else "not done"
    json.loads(data)
    return None


async def ask(port: int, path: str, body: dict, leave: float | None) -> tuple[int, bytes, bytes] | None:
    """Status, head and body; None if it left after `leave` seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    try:
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        try:
            answer = await asyncio.wait_for(reader.read(-1), leave or 120)
        except TimeoutError:
            if leave is None:
                raise
            return None
        top, _, rest = answer.partition(b"\r\n\r\n")
        return int(top.split(b" ", 2)[1]), top, _whole(top, rest)
    finally:
        writer.close()


def _whole(head: bytes, rest: bytes) -> bytes:
    if b"transfer-encoding: chunked" not in head.lower():
        return rest
    found, at = b"", 0
    while True:
        end = rest.index(b"\r\n", at)
        size = int(rest[at:end], 16)
        if not size:
            return found
        found += rest[end + 2 : end + 2 + size]
        at = end + 4 + size


async def client(number: int, port: int, model: str, until: float, tally: Counter, problems: list[str], seed: int):
    rng = random.Random(f"{seed}/{number}")
    while time.monotonic() < until:
        path, body = bodies(rng, model)
        leave = rng.choice([0.002, 0.02, 0.1, 0.5]) * rng.random() * 2 if rng.random() < 0.4 else None
        try:
            got = await ask(port, path, body, leave)
        except (OSError, TimeoutError, ValueError, IndexError) as error:
            problems.append(f"{path}: {error!r}")
            continue
        tally["left" if got is None else str(got[0])] += 1
        if got is not None:
            try:
                wrong = problem(path, *got)
            except ValueError as error:
                wrong = f"malformed: {error}"
            if wrong:
                problems.append(f"{path}: {wrong}")


def memory(pids: list[int]) -> list[float]:
    """Resident MiB of each process."""
    return [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20 for pid in pids]


def processes(pid: int) -> list[int]:
    return [pid, *(int(c) for f in Path(f"/proc/{pid}/task").glob("*/children") for c in f.read_text().split())]


async def soak(arguments: argparse.Namespace, port: int, model: str, pid: int) -> int:
    began, tally, problems, samples = time.monotonic(), Counter[str](), list[str](), list[tuple[float, list[float]]]()
    until = began + 60 * arguments.minutes
    clients = [
        asyncio.create_task(client(i, port, model, until, tally, problems, arguments.seed))
        for i in range(arguments.clients)
    ]
    while not all(task.done() for task in clients):
        await asyncio.wait(clients, timeout=min(60, 6 * arguments.minutes))
        samples.append((time.monotonic() - began, memory(processes(pid))))
        print(f"{samples[-1][0] / 60:5.1f} min  MiB: {', '.join(f'{m:.1f}' for m in samples[-1][1])}  {dict(tally)}  "
              f"problems: {len(problems)}", flush=True)  # fmt: skip
    for task in clients:
        task.result()
    body = {"model": model, "messages": [{"role": "user", "content": "Hi!"}], "max_tokens": 8}
    last = await asyncio.gather(*(ask(port, "/v1/chat/completions", body, None) for _ in range(arguments.slots)))
    lost = sum(1 for got in last if got is None or got[0] != 200)
    half = [m for t, m in samples if t > 30 * arguments.minutes] or [samples[-1][1]]
    growth = [100 * (end / begin - 1) for begin, end in zip(half[0], half[-1], strict=True)]
    print(f"answers {dict(tally)}; problems {len(problems)}; slots lost {lost}; growth in the second half, %: {growth}")
    for line in problems[:20]:
        print(" ", line)
    return int(bool(problems or lost or max(growth) > 2))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--model", default="orch-demo")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments = parser.parse_args()
    print("seed", arguments.seed)
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "llama_orch.cli", "serve", "-m", arguments.model, "--port", "0", "--no-auth",
                   "--slots", str(arguments.slots), "--json"]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"ORCH_HOME": home}) as server:
            assert server.stdout is not None
            ready = json.loads(server.stdout.readline())
            port = int(ready["url"].rsplit(":", 1)[1])
            try:
                return asyncio.run(soak(arguments, port, ready["models"][0], server.pid))
            finally:
                server.terminate()


if __name__ == "__main__":
    sys.exit(main())
