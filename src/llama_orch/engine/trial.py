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
    _verify((path,), cache_dir)


def verify_projector(path: Path, model: Path, cache_dir: Path | None = None) -> None:
    """As `verify`, for the projector at `path` together with the model it is for: this loads it whole."""
    _verify((path, model), cache_dir)


def _verify(files: tuple[Path, ...], cache_dir: Path | None) -> None:
    key = _key(files)
    note = cache_dir / _FOLDER / key if cache_dir is not None else None
    if key in _passed or (note is not None and note.exists()):
        return
    _try(files)
    _passed.add(key)
    if note is not None:
        _remember(note)


def _try(files: tuple[Path, ...]) -> None:
    path = files[0]
    environment = {**os.environ, "GGML_NO_BACKTRACE": "1", "OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            # abspath keeps links
            [sys.executable, "-m", "llama_orch.engine.trial", *map(os.path.abspath, files)],
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


def _key(files: tuple[Path, ...]) -> str:
    found = [(str(path.resolve()), status.st_size, status.st_mtime_ns) for path in files if (status := path.stat())]
    library_files = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in library.files()]
    return hashlib.sha256(repr((found, library_files)).encode()).hexdigest()


def _remember(note: Path) -> None:
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()
    except OSError as error:
        sys.stderr.write(f"warning: the trial of a model cannot be remembered in {note.parent}: {error}\n")


def _main() -> None:
    """The child: everything but the weights, and the computation's layout; or a projector for such a model."""
    library.no_core_file()
    lib, log = library.load(), library.log()
    params = lib.llama_model_default_params()
    params.no_alloc, params.load_mode = True, lib.LLAMA_LOAD_MODE_NONE  # the two exclude a mapped file
    model = lib.llama_model_load_from_file(os.fsencode(sys.argv[-1]), params)
    if len(sys.argv) > 2:  # noqa: PLR2004
        model = model and _open_projector(model, sys.argv[1])
    elif model and lib.llama_model_has_decoder(model) and not lib.llama_model_has_encoder(model):
        wanted = lib.llama_context_default_params()
        wanted.n_ctx = wanted.n_batch = wanted.n_ubatch = 256
        model = lib.llama_init_from_model(model, wanted)
    if not model:
        sys.stdout.write(log.reason() or "llama.cpp gives no reason")
        sys.stdout.flush()
        os._exit(_REFUSED)
    os._exit(0)


def _open_projector(model: int, path: str) -> int:
    library.log().clear()
    vision = library.load_vision()
    params = vision.mtmd_context_params_default()
    params.use_gpu, params.warmup = False, True  # an image of its own
    return vision.mtmd_init_from_file(os.fsencode(path), model, params)


if __name__ == "__main__":
    _main()
