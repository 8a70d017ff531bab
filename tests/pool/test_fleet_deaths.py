# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers and gateways that are killed: typed errors, a new worker for the next request, nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fleet_home import ENDLESS, SMALL, WAIT, ask, played, running, send, stored, until
from processes import freeze, workers_of
from seeds import fresh_seed

from llama_orch.pool import roster
from llama_orch.pool.fleet import Lease
from llama_orch_utils.errors import ConfigError, EngineFailed

GATEWAY = """
import asyncio, json, sys
from pathlib import Path
from llama_orch.models.stored_model import StoredModel
from llama_orch.pool.fleet import Fleet
from llama_orch_utils.targets.local import WorkerSettings

async def main():
    path = Path(sys.argv[1])
    settings = WorkerSettings(context=256, slots=2)
    fleet = Fleet([StoredModel("tiny", path, path.stat().st_size)], store=None, settings=settings)
    await fleet.start()
    if sys.argv[2] == "ready":
        await fleet.settled()
        lease = await fleet.lease(None, wait=60)
        print(json.dumps([lease.socket, fleet.models()[0].pid]), flush=True)
    else:
        print(flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def test_a_killed_worker_is_noticed_and_replaced(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")]) as seen:
            lease = await seen.fleet.lease(None, wait=WAIT)
            reader, writer = await send(lease, **ENDLESS)
            assert await reader.readline()
            os.kill(seen.model("tiny").pid or 0, signal.SIGSEGV)
            error = await lease.failure()
            assert isinstance(error, EngineFailed)
            assert (error.code, error.status, error.retry_after) == ("worker_died", 503, 1)
            assert "SIGSEGV" in error.message
            assert "Segmentation fault" in error.last_words
            assert seen.model("tiny").state == "failed"
            lease.release()
            writer.close()
            async with await seen.fleet.lease(None, wait=WAIT) as lease:
                assert (await ask(lease))["model"] == "tiny"
                assert await lease.failure(0.01) is None
            assert seen.model("tiny").restarts == 1
            assert seen.states("tiny")[-2:] == ["loading", "ready"]

    played(scene)


def test_killed_at_random_moments(orch_home: Path, tiny_gguf: Path) -> None:
    seed = fresh_seed()
    print("seed", seed)
    chance = random.Random(seed)

    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")]) as seen:
            for _ in range(4):
                waiting = asyncio.create_task(seen.fleet.lease(None, wait=WAIT))
                await asyncio.sleep(chance.uniform(0, 0.4))
                for pid in workers_of(orch_home):
                    os.kill(pid, signal.SIGKILL)
                (told,) = await asyncio.gather(waiting, return_exceptions=True)
                if isinstance(told, Lease):
                    told.release()
                    continue
                assert isinstance(told, EngineFailed)  # it was killed while it loaded: said, not hidden
                assert told.code == "worker_died"
                seen.fleet._members.of("tiny")._pause_ends = 0
            async with await seen.fleet.lease(None, wait=WAIT) as lease:
                if await lease.failure(0.5) is None:
                    await ask(lease)
        assert workers_of(orch_home) == []

    played(scene)


def test_a_worker_that_takes_no_connections_is_replaced(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")]) as seen:
            lease = await seen.fleet.lease(None, wait=WAIT)
            pid = seen.model("tiny").pid or 0
            freeze(pid)
            lease.broken()
            lease.broken()
            lease.release()
            async with await seen.fleet.lease(None, wait=WAIT) as lease:
                assert (await ask(lease))["model"] == "tiny"
            assert seen.model("tiny").pid != pid
            assert len(workers_of(orch_home)) == 1

    played(scene)


def test_a_file_that_is_no_model_fails_and_is_not_tried_at_every_request(orch_home: Path, tiny_gguf: Path) -> None:
    broken = orch_home / "broken.gguf"
    broken.write_bytes(tiny_gguf.read_bytes()[:100_000])

    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny"), stored(broken, "broken")], settle=False) as seen:
            await seen.fleet.settled()  # the other one serves
            assert seen.model("broken").state == "failed"
            for _ in range(10):
                with pytest.raises(EngineFailed) as caught:
                    await seen.fleet.lease("broken", wait=WAIT)
                assert caught.value.status == 503
                assert "Traceback" not in caught.value.message
                assert (caught.value.retry_after or 0) <= 1
            assert seen.states("broken") == ["loading", "failed"]
            async with await seen.fleet.lease("tiny", wait=WAIT) as lease:
                await ask(lease)
            shutil.copy(tiny_gguf, broken)
            await asyncio.sleep(1.1)
            async with await seen.fleet.lease("broken", wait=WAIT) as lease:
                await ask(lease)

    played(scene)


def test_a_file_that_has_gone(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        missing = stored(tiny_gguf, "missing")
        missing = type(missing)("missing", orch_home / "missing.gguf", 1)
        async with running([stored(tiny_gguf, "tiny"), missing], settle=False) as seen:
            await seen.fleet.settled()
            with pytest.raises(EngineFailed):
                await seen.fleet.lease("missing", wait=WAIT)

    played(scene)


def test_closing_in_the_middle_of_everything(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        models = [stored(tiny_gguf, name) for name in "abc"]
        async with running(models, settle=False) as seen:
            waiting = [asyncio.create_task(seen.fleet.lease(name, wait=WAIT)) for name in "abc"]
            lease = await waiting[0]
            reader, writer = await send(lease, **ENDLESS)
            begun = time.monotonic()
            closing = asyncio.create_task(seen.fleet.close(0.5))
            await asyncio.sleep(0)
            with pytest.raises(EngineFailed) as caught:
                await seen.fleet.lease("a", wait=WAIT)
            assert caught.value.code == "stopping"
            await closing
            assert time.monotonic() - begun < 10
            await reader.read()  # its end comes, whatever it holds
            writer.close()
            lease.release()
            assert workers_of(orch_home) == []
            for task in waiting[1:]:
                assert isinstance(await asyncio.gather(task, return_exceptions=True), list)

    played(scene)


def gateway(model: Path, until_when: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", GATEWAY, str(model), until_when], stdout=subprocess.PIPE)


def kill(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("moment", ["ready", "loading"])
def test_workers_die_with_a_gateway_that_is_killed(orch_home: Path, tiny_gguf: Path, moment: str) -> None:
    process = gateway(tiny_gguf, moment)
    assert process.stdout is not None
    assert process.stdout.readline()
    kill(process)

    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")]) as seen:  # at once: nothing is in its way
            async with await seen.fleet.lease(None, wait=WAIT) as lease:
                await ask(lease)
            await until(lambda: len(workers_of(orch_home)) == 1, "the old one has gone")

    played(scene)
    assert roster.list_workers() == []
    assert list((orch_home / "run" / "workers").iterdir()) == []


def test_a_worker_that_cannot_end_does_not_hinder_the_next_gateway(orch_home: Path, tiny_gguf: Path) -> None:
    process = gateway(tiny_gguf, "ready")
    assert process.stdout is not None
    _, pid = json.loads(process.stdout.readline())
    freeze(pid)
    kill(process)

    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")]) as seen:
            async with await seen.fleet.lease(None, wait=WAIT) as lease:
                await ask(lease)
            os.kill(pid, signal.SIGCONT)
            await until(lambda: pid not in workers_of(orch_home), "it ended when it could")

    played(scene)


def test_without_the_engine_it_says_what_to_install(
    orch_home: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "llama_cpp" else real(name))

    async def scene() -> None:
        with pytest.raises(ConfigError, match="llama_cpp"):
            async with running([stored(tiny_gguf, "tiny")], settings=SMALL):
                pass

    played(scene)
