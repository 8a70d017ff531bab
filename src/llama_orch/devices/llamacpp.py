# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a build of llama.cpp for its devices, in a child process.

`python -m llama_orch.devices.llamacpp` is the child: one line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from llama_orch.devices.device import Device, LlamaCpp
from llama_orch_utils.errors import EngineFailed

MODULE = "llama_orch.devices.llamacpp"
_SECONDS = 60


def ask(command: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> LlamaCpp:
    """What the build that `command` runs on says (None: this interpreter's).

    Raises EngineFailed where it cannot be loaded, crashes, or does not come back within a minute: a driver that hangs.
    """
    line = list(command or [sys.executable, "-P", "-m", MODULE])
    try:
        done = subprocess.run(
            line,
            env=dict(os.environ if environment is None else environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(f"does not come back within {_SECONDS} seconds", "") from error
    except OSError as error:
        raise _failed(f"cannot be started: {error.strerror}", "") from error
    words = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode != 0:
        raise _failed(words.splitlines()[-1] if words else f"exit status {done.returncode}", words)
    return _read(json.loads(done.stdout.splitlines()[-1]))


def _read(told: dict[str, Any]) -> LlamaCpp:
    devices = tuple(Device(**each) for each in cast("list[dict[str, Any]]", told["devices"]))
    return LlamaCpp(devices, tuple(told["features"]))


def _failed(why: str, words: str) -> EngineFailed:
    return EngineFailed(
        f"llama.cpp cannot be asked for its devices: {why}",
        last_words="\n".join(words.splitlines()[-12:]),
        hint="orch doctor",
        code="devices_unknown",
    )


def _main() -> int:
    from llama_orch.devices import ggml

    output = os.dup(1)
    os.dup2(2, 1)  # what a driver prints is not our answer
    try:
        answer = asdict(ggml.told())
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    os.write(output, json.dumps(answer).encode() + b"\n")
    return 0


if __name__ == "__main__":
    status = _main()
    sys.stderr.flush()
    os._exit(status)  # a GPU driver's own way out can hang
