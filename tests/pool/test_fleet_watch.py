# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers that are in use and live no more: frozen, with a socket that still accepts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
from fleet_home import ENDLESS, WAIT, ask, played, running, send, stored, until
from processes import freeze, workers_of

from llama_orch.pool.fleet import watch


def test_a_frozen_worker_is_ended_and_replaced(
    orch_home: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PULSE_SECONDS", 0.2)

    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")]) as seen:
            lease = await seen.fleet.lease(None, wait=WAIT)
            pid = seen.model("tiny").pid or 0
            freeze(pid)
            reader, writer = await send(lease)
            with contextlib.suppress(ConnectionResetError):  # it accepts, and then its end comes
                assert await reader.read() == b""
            writer.close()
            lease.release()
            async with await seen.fleet.lease(None, wait=WAIT) as lease:
                assert (await ask(lease))["model"] == "tiny"
            assert workers_of(orch_home) == [seen.model("tiny").pid]
            assert seen.model("tiny").pid != pid

    played(scene)


def test_a_worker_that_is_slow_for_a_moment_stays(
    orch_home: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PULSE_SECONDS", 1.0)

    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")]) as seen:
            pid = seen.model("tiny").pid or 0
            async with await seen.fleet.lease(None, wait=WAIT) as lease:
                freeze(pid)
                begun = time.monotonic()
                await until(lambda: time.monotonic() - begun > 2.2, "a question without an answer")
                os.kill(pid, signal.SIGCONT)
                assert (await ask(lease))["model"] == "tiny"
            assert seen.model("tiny").pid == pid

    played(scene)


def test_a_worker_that_computes_is_not_taken_for_dead(
    orch_home: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PULSE_SECONDS", 0.5)

    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")]) as seen:
            pid = seen.model("tiny").pid
            async with await seen.fleet.lease(None, wait=WAIT) as lease:
                streams = [await send(lease, **ENDLESS) for _ in range(3)]
                for answer in await asyncio.gather(*(reader.read() for reader, _ in streams)):
                    assert b"data: [DONE]" in answer
                for _, writer in streams:
                    writer.close()
            assert seen.model("tiny").pid == pid

    played(scene)
