# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting a worker process: detached, without secrets, and heard until it is ready or has failed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

from llama_orch.engines import runtime
from llama_orch.engines.runtime import Runtime
from llama_orch.models.stored_model import StoredModel
from llama_orch.pool import load_settings
from llama_orch.pool.last_words import last_words, open_log
from llama_orch.pool.lock import WorkerLock
from llama_orch.pool.place import Place
from llama_orch_utils.errors import EngineFailed, TargetTimeout
from llama_orch_utils.targets.local import LoadEvent, LoadListener, LocalWorker, WorkerSettings

STALL_SECONDS = 120.0
"""A load that says nothing for this long has got stuck."""

_SECRET = re.compile(r"(^|_)(KEYS?|TOKENS?|SECRETS?|PASSWORDS?|PASSWD|PASS|CREDENTIALS?)(_|$)", re.IGNORECASE)

_lifelines: dict[str, int] = {}
"""Write ends of pipes, by worker key: open until this process ends, which is how a worker knows that it did."""


def start(
    place: Place, model: StoredModel, settings: WorkerSettings, lock: WorkerLock, listener: LoadListener
) -> LocalWorker:
    """Starts the worker at `place`, which gets its own hold of `lock`, and waits until it serves.

    Raises ConfigError (the engine is not installed, the log cannot be written), EngineFailed with the worker's last
    words, TargetTimeout after STALL_SECONDS without a sign. Whatever interrupts the waiting ends the worker.
    """
    check_installed(settings.engine)
    listener(LoadEvent("starting", f"starting {model.id}"))
    process = spawn(place, model, settings, lock)
    try:
        hear(process, place, model, listener)
    except BaseException:
        _end(process)
        raise
    # The child is reaped when it ends, so that it is no zombie for as long as this process lives.
    threading.Thread(target=process.wait, name=f"reap-{process.pid}", daemon=True).start()
    listener(LoadEvent("ready"))
    return LocalWorker(
        model=model.id,
        url="http://localhost",
        socket=str(place.socket),
        pid=process.pid,
        demo=model.demo,
        log=str(place.log),
    )


def environment(engine: Runtime | None = None) -> dict[str, str]:
    """The variables of a worker: ours without what looks like a secret, with an absolute home, for its `engine`.

    None: the engine in use.
    """
    clean = {name: value for name, value in os.environ.items() if not _SECRET.search(name)}
    if clean.get("ORCH_HOME"):
        clean["ORCH_HOME"] = os.path.abspath(os.path.expanduser(clean["ORCH_HOME"]))  # noqa: PTH100, PTH111
    return (engine or runtime.runtime()).environment(clean)


def check_installed(engine: str | None = None) -> None:
    """Raises ConfigError where `engine` (None: the one in use) is not there; imports nothing."""
    runtime.check(engine)


def spawn(place: Place, model: StoredModel, settings: WorkerSettings, lock: WorkerLock) -> subprocess.Popen[bytes]:
    """The worker process, which holds `lock` as well; `hear` tells when it serves.

    With a keep-alive of 0 it ends when this process does, however that ends. Raises ConfigError, EngineFailed.
    """
    engine = runtime.runtime(settings.engine)
    variables = environment(engine)
    log = open_log(place.log)
    handed = [lock.descriptor]
    command = engine.command("llama_orch.worker", *_arguments(place, model, settings, lock))
    if settings.keep_alive == 0:
        reading = _lifeline(place.key)
        handed.append(reading)
        command += ["--lifeline-fd", str(reading)]
    try:
        with engine.held() as hold:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env=variables,
                start_new_session=True,  # ^C in the terminal is not for it
                pass_fds=handed if hold is None else [*handed, hold],
            )
    except OSError as error:
        raise EngineFailed(f"cannot start the worker process: {error.strerror}", code="spawn_failed") from error
    finally:
        os.close(log)
        for descriptor in handed[1:]:
            os.close(descriptor)


def _arguments(place: Place, model: StoredModel, settings: WorkerSettings, lock: WorkerLock) -> list[str]:
    found = ["--socket", str(place.socket), "--model", model.opens, "--name", model.id]
    found += ["--log", str(place.log), "--keep-alive", str(settings.keep_alive), "--lock-fd", str(lock.descriptor)]
    found += load_settings.arguments(load_settings.settled(settings, model))
    return [*found, "--demo"] if model.demo else found


def cut_lifeline(place: Place) -> None:
    """Forgets the pipe of a worker that has ended."""
    writing = _lifelines.pop(place.key, None)
    if writing is not None:
        os.close(writing)


def _lifeline(key: str) -> int:
    reading, writing = os.pipe()
    old = _lifelines.pop(key, None)
    if old is not None:
        os.close(old)
    _lifelines[key] = writing
    return reading


def hear(process: subprocess.Popen[bytes], place: Place, model: StoredModel, listener: LoadListener) -> dict[str, Any]:
    """Relays what the worker says until it is ready; what it then says of itself (`context`, `slots`, …).

    Raises EngineFailed with its last words, TargetTimeout after STALL_SECONDS without a sign.
    """
    for event in _events(process):
        kind = event.get("event")
        if kind == "loading":
            listener(LoadEvent("loading", f"loading {model.id}", event.get("progress")))
        elif kind == "warning":
            listener(LoadEvent("warning", str(event.get("message")), hint=event.get("hint")))
        elif kind == "ready":
            return event
        elif kind == "failed":
            raise EngineFailed(
                str(event.get("message")),
                hint=event.get("hint"),
                code=event.get("code"),
                last_words=last_words(place.log),
            )
    raise _died(process, place)


def _events(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """The worker's lines, until it closes its end. Raises TargetTimeout when none comes for STALL_SECONDS."""
    assert process.stdout is not None
    pending = b""
    with process.stdout as pipe:
        poll = select.poll()
        poll.register(pipe, select.POLLIN | select.POLLHUP)
        while True:
            if not poll.poll(STALL_SECONDS * 1000):
                raise TargetTimeout("the worker got stuck while loading", phase="load", seconds=STALL_SECONDS)
            part = os.read(pipe.fileno(), 65536)
            if not part:
                return
            *lines, pending = (pending + part).split(b"\n")
            yield from (cast("dict[str, Any]", json.loads(line)) for line in lines)


def _died(process: subprocess.Popen[bytes], place: Place) -> EngineFailed:
    try:
        status = process.wait(10)
    except subprocess.TimeoutExpired:
        status = None
    return EngineFailed(
        f"the worker ended while it started ({ending(status)})",
        last_words=last_words(place.log),
        hint=f"its log tells more: {place.log}",
        code="worker_died",
    )


def ending(status: int | None) -> str:
    """How a process ended, in words, from its `returncode`."""
    if status is None:
        return "it closed its output and hangs"
    if status >= 0:
        return f"exit status {status}"
    return f"killed by {signal.Signals(-status).name}" if -status in list(signal.Signals) else f"signal {-status}"


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a worker at once, with whatever it has started: a child of it that hangs would hold its lock for ever."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS forbids what has ended already
        os.killpg(process.pid, signal.SIGKILL)  # it leads a session of its own


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a worker that nobody waits for any more: asked first, then not."""
    deadline = time.monotonic() + 2
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    while process.poll() is None:
        if time.monotonic() > deadline:
            kill(process)
        time.sleep(0.01)
    kill(process)  # it may have ended before a child of its
