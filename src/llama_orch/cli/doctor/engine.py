# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about the local engine. llama.cpp is only loaded in processes of their own: it may not come back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

from llama_orch.cli.doctor.check import Check

if TYPE_CHECKING:
    from llama_orch.engines.runtime import Runtime

_SECONDS = 120.0
_OFFLOADS = "from llama_orch.engine import library; print(int(library.load().llama_supports_gpu_offload()))"


def installed() -> Iterator[Check]:
    """Whether local models can run: on the build that is in use, or on the extra `local`.

    Without it only taps can answer: a failure where local is the target. Where the compiler is missing too, that one
    is what is to be mended first, and its own finding says so.
    """
    from llama_orch.engines import runtime, shelf, toolchain
    from llama_orch_utils.errors import ConfigError

    try:
        engine = runtime.check()
    except ConfigError as error:
        first = bool(toolchain.lacks("cpu", offline=False)) and not shelf.names()
        state = "fail" if local() and not first else "warn"
        yield Check("engine", state, error.message, error.hint)
        return
    yield _version(engine)
    yield _smoke(engine)
    yield _devices(engine)


def usable() -> bool:
    """Whether there is an engine that a worker can be started on."""
    from llama_orch.engines import runtime
    from llama_orch_utils.errors import ConfigError

    try:
        runtime.check()
    except ConfigError:
        return False
    return True


def local() -> bool:
    """Whether the target is this machine."""
    from llama_orch_utils import config

    return config.load().get("target").value == "local"


def model() -> Iterator[Check]:
    """Whether the model that requests use is there."""
    from llama_orch.models import Store
    from llama_orch_utils import config
    from llama_orch_utils.errors import OrchError

    if not local():
        return
    name = config.load().get("model").value
    try:
        found = Store().resolve(None if name is None else str(name))
    except OrchError as error:
        yield Check("model", "fail", error.message, error.hint)
    else:
        yield Check("model", "ok", f"{found.id}: {found.path}")


def _version(engine: Runtime) -> Check:
    if engine.record is None:
        from importlib import metadata

        return Check("engine", "ok", f"installed: llama-cpp-python {metadata.version('llama-cpp-python')}")
    record = engine.record
    what = "xllamacpp" if record.kind == "prebuilt" else "llama-cpp-python"
    from llama_orch.engines import processor

    if record.kind == "built" and record.processor != processor.name():
        return Check("engine", "warn", f"{record.name} was built for another processor ({record.processor})",
                     record.again)  # fmt: skip
    return Check("engine", "ok", f"{record.name}: {what} {record.version} for {record.backend}")


def _smoke(engine: Runtime) -> Check:
    """The verdict of the engine's smoke test: remembered for the library as it is."""
    if engine.record is not None and engine.record.kind == "prebuilt":
        return Check("smoke test", "ok", "made for any processor, and tried when it was installed")
    from llama_orch.engines import child

    command = engine.command("llama_orch.engine.smoke", "--verdict")
    try:
        said = subprocess.run(
            command,
            env=engine.environment(child.variables({})),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        ).stdout
    except (subprocess.SubprocessError, OSError) as error:
        return Check("smoke test", "fail", f"it does not come to an end: {error}", _rebuild(engine))
    import json

    found = json.loads(said)
    state = "fail" if not found["ok"] else "ok" if found["extra_buffers"] else "warn"
    return Check("smoke test", state, found["message"] or "llama.cpp computes", found["hint"] or None)


def _devices(engine: Runtime) -> Check:
    """Whether the build can use the GPU that the machine has: it never falls back to the CPU unnoticed."""
    from llama_orch.engines import child, processor, toolchain

    if engine.record is not None and engine.record.kind == "prebuilt":
        offloads = False
    else:
        command = [engine.python, "-P", "-c", _OFFLOADS]
        variables = engine.environment(child.variables({}))
        try:
            child = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=_SECONDS, check=True)
        except (subprocess.SubprocessError, OSError) as error:
            return Check("devices", "fail", f"llama.cpp does not load: {error}", _rebuild(engine))
        offloads = child.stdout.strip() == "1"
    if offloads:
        return Check("devices", "ok", "llama.cpp can use the GPU")
    backend = processor.backend()
    if backend == "cpu":
        return Check("devices", "ok", "CPU; no GPU found")
    lacks = toolchain.lacks(backend, offline=False)
    words = "there is a GPU, and this llama.cpp was built without it"
    if lacks:
        return Check("devices", "warn", f"{words}; to build one with it: {lacks[0].what}", lacks[0].hint)
    return Check("devices", "warn", words, f"orch engine build --backend {backend}")


def _rebuild(engine: Runtime) -> str:
    if engine.record is None:
        return "orch engine build"
    return engine.record.again
