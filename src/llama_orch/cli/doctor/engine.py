# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about the local engine. llama.cpp is only loaded in processes of their own: it may not come back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from llama_orch.cli.doctor.check import Check

_INSTALL = "pip install 'llama-orch[local]'"
_SECONDS = 60.0
_DEVICES = "import llama_cpp; print(int(llama_cpp.llama_supports_gpu_offload()))"


def installed() -> Iterator[Check]:
    """Whether the extra `local` is there. Without it only taps can answer: a failure where local is the target."""
    import importlib.util
    from importlib import metadata

    missing = [name for name in ("llama_cpp", "llguidance", "jinja2", "numpy", "uvicorn")
               if importlib.util.find_spec(name) is None]  # fmt: skip
    if not missing:
        yield Check("engine", "ok", f"llama-cpp-python {metadata.version('llama-cpp-python')}")
        yield from _smoke()
        yield _devices()
    else:
        state = "fail" if _target() == "local" else "warn"
        yield Check("engine", state, f"the local engine is not installed ({', '.join(missing)} missing)", _INSTALL)


def model() -> Iterator[Check]:
    """Whether the model that requests use is there."""
    from llama_orch.models import Store
    from llama_orch_utils import config
    from llama_orch_utils.errors import OrchError

    if _target() != "local":
        return
    name = config.load().get("model").value
    try:
        found = Store().resolve(None if name is None else str(name))
    except OrchError as error:
        yield Check("model", "fail", error.message, error.hint)
    else:
        yield Check("model", "ok", f"{found.id}: {found.path}")


def _smoke() -> Iterator[Check]:
    """The verdict of the engine's smoke test: remembered for the library as it is."""
    from llama_orch.engine.smoke import verdict
    from llama_orch_utils.config import paths

    found = verdict(paths.ensure_private(paths.cache_dir()))
    state = "fail" if not found.ok else "ok" if found.extra_buffers else "warn"
    yield Check("smoke test", state, found.message or "llama.cpp computes", found.hint or None)


def _devices() -> Check:
    """Whether the build can use the GPU that the machine has: it never falls back to the CPU unnoticed."""
    try:
        child = subprocess.run(
            [sys.executable, "-c", _DEVICES], capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except (subprocess.SubprocessError, OSError) as error:
        return Check("devices", "fail", f"llama.cpp does not load: {error}", f"{_INSTALL} --force-reinstall")
    nvidia = any(Path(path).exists() for path in ("/dev/nvidia0", "/dev/dxg"))
    if child.stdout.strip() == "1":
        return Check("devices", "ok", "llama.cpp can use the GPU")
    if nvidia:
        return Check("devices", "warn", "there is a GPU, and this llama.cpp was built without it",
                     f"CMAKE_ARGS=-DGGML_CUDA=on {_INSTALL} --force-reinstall")  # fmt: skip
    return Check("devices", "ok", "CPU; no GPU found")


def _target() -> object:
    from llama_orch_utils import config

    return config.load().get("target").value
