# SPDX-License-Identifier: GPL-3.0-or-later
"""A tap with its ledger beside LiteLLM's proxy and nginx: CPU per request and per streamed chunk, and what it adds.

benchmarks/gateway/setup FOLDER
python benchmarks/gateway FOLDER --bench bench_gateway.py [--reps 3] [--memory 200000]

`--bench` is the load script (shared/bench/bench_gateway.py), which starts the mock upstream and measures whoever runs.
Each gateway is one process. Ours checks a key, reserves, settles and meters every request (SQLite); LiteLLM runs
without its database; nginx compares one header.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

MOCK, OURS, LITELLM, NGINX = 19000, 18100, 18200, 18300
WORKLOADS = "json:1,json:16,json:64,sse:16:64:0,sse:64:64:5000"


def main() -> int:
    """Starts all, measures, ends all."""
    options = _options()
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orch-bench-")))
        key, tap = stack.enter_context(ours(home, keyless=options.without_money))
        targets = [f"ours=http://127.0.0.1:{OURS},key={key}"]
        if options.memory:
            return memory(options, key, tap)
        if not options.alone:
            stack.enter_context(litellm(options.folder))
            stack.enter_context(nginx(options.folder))
            targets += [f"litellm=http://127.0.0.1:{LITELLM}", f"nginx=http://127.0.0.1:{NGINX}"]
        command = [sys.executable, str(options.bench), "run", "--reps", str(options.reps), "--secs", str(options.secs)]
        command += ["--mock-port", str(MOCK), "--workloads", options.workloads, "--ref", "direct,nginx,litellm"]
        command += [part for target in targets for part in ("--target", target)]
        command += ["--json", str(options.json)] if options.json else []
        return subprocess.run(command, check=False).returncode


def memory(options: argparse.Namespace, key: str, tap: int) -> int:
    """How much memory the gateway has on the way through so many requests."""
    mock = subprocess.Popen([sys.executable, str(options.bench), "mock", "--port", str(MOCK)])
    try:
        _await_port(MOCK)
        pid = _gateway_pid(tap)
        done = shown = 0
        while done < options.memory:
            done += _load(key)
            if done - shown >= options.memory // 10:
                shown = done
                print(f"{done:>8} requests: {_rss(pid) / 2**20:.1f} MiB", flush=True)
    finally:
        mock.terminate()
        mock.wait()
    return 0


@contextlib.contextmanager
def ours(home: Path, *, keyless: bool) -> Iterator[tuple[str, int]]:
    """A tap in `home` with an account that has 1,000,000 euros: its key, its process. `keyless`: without a ledger."""
    environ = os.environ | {"ORCH_HOME": str(home)}
    if keyless:
        support = Path(__file__).parents[2] / "tests" / "support"
        model = {"name": "bench", "upstreams": [{"id": "mock", "url": f"http://127.0.0.1:{MOCK}/v1"}]}
        (home / "tap.json").write_text(json.dumps({"models": [model], "processes": 1, "port": OURS}))
        command, key = [sys.executable, str(support / "tap_process.py"), str(home)], "test-key-0123456789"
    else:
        orch = [sys.executable, "-m", "llama_orch.cli", "tap"]
        tap = str(home / "tap")

        def told(*words: str) -> dict[str, str]:
            done = subprocess.run(
                [*orch, *words, "--json"],
                env=environ | {"ORCH_TAP_DIR": tap},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"orch tap {' '.join(words)}: {done.stderr}")
            return json.loads(done.stdout or "{}")

        told("init", tap)
        told("upstream", "add", "bench", f"http://127.0.0.1:{MOCK}/v1")
        told("price", "set", "bench", "--input", "1200000", "--output", "1200000")
        account = told("account", "add", "bench")["id"]
        key = told("key", "add", account)["secret"]
        told("grant", account, "--eur", "1000000")
        command = [*orch, "serve", tap, "--port", str(OURS), "--processes", "1"]
    with _running(command, environ, OURS) as pid:
        _await_answer(OURS, key)
        yield key, pid


@contextlib.contextmanager
def litellm(folder: Path) -> Iterator[None]:
    """LiteLLM's proxy without its database, as its documentation advises for production."""
    told = {"LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    command = [str(folder / "litellm/bin/litellm"), "--config", str(folder / "litellm.yaml")]
    with _running([*command, "--port", str(LITELLM), "--num_workers", "1"], os.environ | told, LITELLM):
        yield


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[None]:
    """Nginx as a plain proxy with one worker: the limit that one would pay for."""
    with _running(["nginx", "-c", str(folder / "nginx.conf")], dict(os.environ), NGINX):
        yield


@contextlib.contextmanager
def _running(command: list[str], environ: dict[str, str], port: int) -> Iterator[int]:
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        _await_port(port)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _await_port(port: int, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise SystemExit(f"nothing listens on port {port}")


def _await_answer(port: int, key: str) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models", headers={"authorization": f"Bearer {key}"})
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(request) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise SystemExit("the tap does not answer")


def _load(key: str, seconds: int = 3) -> int:
    """Sends requests over 16 connections for a while; how many."""
    body = json.dumps({"model": "bench", "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}]})
    lines = [f'wrk.method="POST"; wrk.body={json.dumps(body)}']
    lines += [f'wrk.headers["Authorization"]="Bearer {key}"; wrk.headers["Content-Type"]="application/json"']
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("\n".join(lines))
        script.flush()
        url = f"http://127.0.0.1:{OURS}/v1/chat/completions"
        command = ["wrk", "-t1", "-c16", f"-d{seconds}s", "-s", script.name, url]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(next(line for line in said.splitlines() if "requests in" in line).split()[0])


def _gateway_pid(tap: int) -> int:
    """The gateway process of a tap."""
    children = Path(f"/proc/{tap}/task/{tap}/children").read_text().split()
    return next(int(each) for each in children if b"supervisor.child" in Path(f"/proc/{each}/cmdline").read_bytes())


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what benchmarks/gateway/setup made")
    parser.add_argument("--bench", type=Path, required=True, help="the load script, shared/bench/bench_gateway.py")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--secs", type=int, default=3)
    parser.add_argument("--workloads", default=WORKLOADS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--alone", action="store_true", help="without the peers")
    parser.add_argument("--without-money", action="store_true", help="without a ledger: what routing alone costs")
    parser.add_argument("--memory", type=int, default=0, metavar="REQUESTS", help="only watch the memory over so many")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
