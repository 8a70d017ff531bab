# SPDX-License-Identifier: GPL-3.0-or-later
"""Does llama.cpp survive this file? Asked in a child process before the file is loaded here.

A damaged GGUF often gets an error from llama.cpp, and sometimes an assertion that ends the process (two equal tokens
in the vocabulary, 10,000 layers). The child loads everything but the weights and sets up a computation; whatever
becomes of it comes back in words. What passed is remembered, by path, size and time of change.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from llama_orch.engine import library
from llama_orch_utils.errors import EngineFailed

_SECONDS = 300
_REFUSED = 3
_FOLDER = "engine-trials"

_passed: set[str] = set()


def verify(path: Path, cache_dir: Path | None = None) -> None:
    """Raises EngineFailed, with llama.cpp's own reason, if loading `path` would fail or end the process.

    With `cache_dir` a file that passed is not asked again, in any process; else not again in this one.
    """
    key = _key(path)
    note = cache_dir / _FOLDER / key if cache_dir is not None else None
    if key in _passed or (note is not None and note.exists()):
        return
    _try(path)
    _passed.add(key)
    if note is not None:
        _remember(note)


def _try(path: Path) -> None:
    environment = {**os.environ, "GGML_NO_BACKTRACE": "1", "OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "llama_orch.engine.trial", os.path.abspath(path)],  # noqa: PTH100 - keeps links
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _failure(path, f"llama.cpp does not come back from it within {_SECONDS} seconds", "") from error
    if done.returncode == 0:
        return
    words = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode == _REFUSED:
        raise _failure(path, done.stdout.decode("utf-8", "replace").strip(), words)
    raise _failure(path, f"llama.cpp gives up on it: {_assertion(words)}", words)


def _failure(path: Path, reason: str, words: str) -> EngineFailed:
    return EngineFailed(
        f"{path} cannot be loaded: {reason.rstrip('.')}.",
        last_words="\n".join(words.splitlines()[-12:]),
        hint=f"fetch the model again, then: orch models link {path}",
    )


def _assertion(words: str) -> str:
    """`…/llama-vocab.cpp:2544: GGML_ASSERT(a == b) failed` to `GGML_ASSERT(a == b) failed`."""
    for line in words.splitlines():
        found = line.find("GGML_ASSERT")
        if found >= 0:
            return line[found:]
    return words.splitlines()[-1] if words else "it ends without a word"


def _key(path: Path) -> str:
    status = path.stat()
    library_files = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in library.files()]
    facts = (str(path.resolve()), status.st_size, status.st_mtime_ns, library_files)
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _remember(note: Path) -> None:
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()
    except OSError as error:
        sys.stderr.write(f"warning: the trial of a model cannot be remembered in {note.parent}: {error}\n")


def _main() -> None:
    """The child: everything but the weights, and the computation's layout."""
    library.no_core_file()
    lib, log = library.load(), library.log()
    params = lib.llama_model_default_params()
    params.no_alloc, params.load_mode = True, lib.LLAMA_LOAD_MODE_NONE  # the two exclude a mapped file
    model = lib.llama_model_load_from_file(os.fsencode(sys.argv[1]), params)
    if model and lib.llama_model_has_decoder(model) and not lib.llama_model_has_encoder(model):
        wanted = lib.llama_context_default_params()
        wanted.n_ctx = wanted.n_batch = wanted.n_ubatch = 256
        model = lib.llama_init_from_model(model, wanted)
    if not model:
        sys.stdout.write(log.reason() or "llama.cpp gives no reason")
        sys.stdout.flush()
        os._exit(_REFUSED)
    os._exit(0)


if __name__ == "__main__":
    _main()
