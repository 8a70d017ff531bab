# SPDX-License-Identifier: GPL-3.0-or-later
"""Does this machine survive a quantised matrix product of this llama.cpp? Asked once, in a child process.

The library that pip compiles with GCC 12 on a CPU with AMX dies at the first one (SIGSEGV or SIGILL). It lives when
ggml may not repack weights for the matrix units (`extra_buffers=False`), at less than half the speed.

`verdict` is the question. `python -m llama_orch.engine.smoke` is the child: exit code 0, or whatever kills it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from llama_orch.engine import library

_SECONDS = 120
_ROWS = 40
"""Rows of the prompt: more than the 32 from which matrix units take over from vector ones."""
_TOLERANCE = 0.05
FAULTS = ("extra-buffers", "always")
REBUILD = "orch engine build --backend cpu"
"""The command that builds, beside it, a library without what the compiler gets wrong."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether llama.cpp works here (`ok`), and with repacked weights (`extra_buffers`); words and the mending command.

    `message` and `hint` are empty where all is well.
    """

    extra_buffers: bool
    ok: bool
    message: str
    hint: str


def verdict(cache_dir: Path, fault: str = "") -> Verdict:
    """Runs the child at most once per (library files, CPU) and remembers what it did under `cache_dir`.

    `fault` (one of FAULTS) makes the child die as a broken library would: for tests. Raises EngineFailed if llama.cpp
    is not installed.
    """
    key = _key(fault)
    memory = cache_dir / _memory()
    known = _recall(memory, key)
    if known is None:
        known = _try(fault)
        _remember(memory, key, known)
    return known


def _try(fault: str) -> Verdict:
    failed = _run_child(extra_buffers=True, fault=fault)
    if not failed:
        return Verdict(extra_buffers=True, ok=True, message="", hint="")
    failed_plain = _run_child(extra_buffers=False, fault=fault)
    if not failed_plain:
        return Verdict(
            extra_buffers=False,
            ok=True,
            message=f"The installed llama.cpp {failed} repacking weights for this CPU: models run slower, without it.",
            hint=REBUILD,
        )
    return Verdict(
        extra_buffers=False,
        ok=False,
        message=f"The installed llama.cpp does not work on this CPU: a quantised matrix product {failed_plain}.",
        hint=REBUILD,
    )


def _run_child(*, extra_buffers: bool, fault: str) -> str:
    """What happened to the child, in words; empty if it did its work."""
    command = [sys.executable, "-m", "llama_orch.engine.smoke", f"--extra-buffers={int(extra_buffers)}"]
    if fault:
        command.append(f"--fault={fault}")
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"takes more than {_SECONDS} seconds"
    if done.returncode == 0:
        return ""
    if done.returncode < 0:
        return f"crashes ({signal.Signals(-done.returncode).name})"
    words = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return f"fails ({words[-1] if words else f'exit code {done.returncode}'})"


def _key(fault: str) -> str:
    """What the verdict is about: the library's files and the CPU."""
    files = [(path.name, status.st_size, status.st_mtime_ns) for path in library.files() if (status := path.stat())]
    return hashlib.sha256(repr((files, _cpu(), fault)).encode()).hexdigest()


def _cpu() -> str:
    """The CPU's name and features as the kernel lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()} {platform.release()}"
    wanted = ("flags", "Features", "model name")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))


def _memory() -> str:
    """The file that remembers; one for each place of a library, so that several engines do not forget one another."""
    place = str(library.files()[0].parent)
    return f"engine-smoke-{hashlib.sha256(os.fsencode(place)).hexdigest()[:12]}.json"


def _recall(memory: Path, key: str) -> Verdict | None:
    try:
        found = json.loads(memory.read_text())
        return Verdict(**found["verdict"]) if found["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or damaged: asked again
        return None


def _remember(memory: Path, key: str, known: Verdict) -> None:
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        fresh = memory.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({"key": key, "verdict": asdict(known)}))
        fresh.replace(memory)
    except OSError as error:
        sys.stderr.write(f"warning: the engine's smoke test cannot be remembered in {memory.parent}: {error}\n")


def _multiply(path: Path, *, extra_buffers: bool) -> None:
    """Computes a prompt at once and its last token alone; SystemExit if the two differ or are no numbers."""
    import numpy as np

    from llama_orch.engine import smoke_model
    from llama_orch.engine.batch import Batch
    from llama_orch.engine.context import Context, plan
    from llama_orch.engine.model import Model
    from llama_orch.engine.records import EngineOptions

    options = EngineOptions(context=256, slots=2, threads=2, unified=True, extra_buffers=extra_buffers)
    model = Model.load(path, options)
    batch = Batch(Context(model, plan(model.card, options)))
    prompt = np.arange(_ROWS, dtype=np.int32) % smoke_model.TOKENS
    rows: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = []
    for chunks in ((prompt,), (prompt[:-1], prompt[-1:])):
        position = 0
        for chunk in chunks:
            batch.clear()
            batch.add_prefill(chunk, position, len(rows), sampled=True)
            if batch.decode() != 0:
                raise SystemExit("llama_decode failed")
            position += len(chunk)
        rows.append(batch.logits()[0].copy())
    together, alone = rows
    if not np.isfinite(together).all() or np.abs(together - alone).max() > _TOLERANCE * np.abs(alone).max():
        raise SystemExit("a matrix product is wrong")


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extra-buffers", type=int, choices=(0, 1), default=1)
    parser.add_argument("--fault", choices=FAULTS)
    parser.add_argument("--verdict", action="store_true", help="be the one who asks: print the verdict as JSON")
    arguments = parser.parse_args()
    if arguments.verdict:
        from llama_orch_utils.config import paths

        sys.stdout.write(json.dumps(asdict(verdict(paths.ensure_private(paths.cache_dir())))) + "\n")
        return
    library.no_core_file()
    if arguments.fault == "always" or (arguments.fault and arguments.extra_buffers):
        os.kill(os.getpid(), signal.SIGILL)
    from llama_orch.engine import smoke_model

    with tempfile.TemporaryDirectory(prefix="orch-smoke-") as folder:
        path = Path(folder) / "smoke.gguf"
        smoke_model.write(path)
        _multiply(path, extra_buffers=bool(arguments.extra_buffers))


if __name__ == "__main__":
    _main()
