# SPDX-License-Identifier: GPL-3.0-or-later
"""More models than memory: who goes, who stays, and that nobody gets another model's answer."""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path

import pytest
from fleet_home import ONE, SMALL, WAIT, Seen, ask, played, running, stored, until
from processes import workers_of
from seeds import fresh_seed

import make_gguf
from llama_orch.models.stored_model import StoredModel
from llama_orch.pool.fleet import room
from llama_orch_utils.errors import EngineFailed

SWITCHES = int(os.environ.get("FLEET_SWITCHES", "40"))
"""`FLEET_SWITCHES=1000 pytest tests/pool/test_fleet_swaps.py -k random -n 0` is the long run."""
NAMES = ("a", "b", "c", "d", "e")


async def use(seen: Seen, name: str) -> str:
    async with await seen.fleet.lease(name, wait=WAIT) as lease:
        answer = await ask(lease)
        assert lease.model == answer["model"] == name
        return str(answer["choices"])


def loaded(seen: Seen) -> set[str]:
    return {each.id for each in seen.fleet.models() if each.state == "ready"}


def test_the_least_recently_used_goes(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        models = [stored(tiny_gguf, name) for name in NAMES]
        async with running(models, memory=2 * ONE) as seen:
            assert loaded(seen) == {"a", "b"}  # in their order, as far as memory goes
            assert not seen.fleet.starting
            await use(seen, "a")
            await use(seen, "c")
            assert loaded(seen) == {"a", "c"}
            await use(seen, "a")
            await use(seen, "d")
            assert loaded(seen) == {"a", "d"}
            assert len(workers_of(orch_home)) == 2
            assert sum(each.memory for each in seen.fleet.models()) <= 2 * ONE

    played(scene)


def test_a_pinned_model_stays(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        models = [stored(tiny_gguf, name) for name in NAMES]
        async with running(models, memory=2 * ONE, pinned=["a"]) as seen:
            for name in ("b", "c", "b"):
                await use(seen, name)
                assert loaded(seen) == {"a", name}
            assert seen.states("a") == ["loading", "ready"]

    played(scene)


def test_who_can_never_fit_is_told_both_numbers(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        models = [stored(tiny_gguf, name) for name in "ab"]
        async with running(models, memory=ONE, pinned=["a"]) as seen:
            with pytest.raises(EngineFailed) as caught:
                await seen.fleet.lease("b", wait=WAIT)
            assert (caught.value.code, caught.value.status) == ("out_of_memory", 503)
            assert "MiB" in caught.value.message
            assert "--memory" in (caught.value.hint or "")
            await use(seen, "a")
        async with running(models, memory=2**20, settle=False) as seen:
            with pytest.raises(EngineFailed, match="needs about"):
                await seen.fleet.settled()

    played(scene)


def test_a_leased_worker_is_not_swapped_out(orch_home: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PATIENCE", 0.5)

    async def scene() -> None:
        models = [stored(tiny_gguf, name) for name in "ab"]
        async with running(models, memory=ONE) as seen:
            lease = await seen.fleet.lease("a", wait=WAIT)
            with pytest.raises(EngineFailed) as caught:
                await seen.fleet.lease("b", wait=room.PATIENCE + 1)
            assert caught.value.code == "loading"
            assert "memory" in caught.value.message
            assert (await ask(lease))["model"] == "a"
            waiting = asyncio.create_task(seen.fleet.lease("b", wait=WAIT))
            await asyncio.sleep(0.1)
            assert (await ask(lease))["model"] == "a"
            lease.release()
            async with await waiting as other:
                assert (await ask(other))["model"] == "b"

    played(scene)


def test_a_busy_model_lets_another_have_its_turn(
    orch_home: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PATIENCE", 0.5)

    async def scene() -> None:
        models = [stored(tiny_gguf, name) for name in "ab"]
        async with running(models, memory=ONE) as seen:
            done = False

            async def traffic() -> None:
                while not done:
                    await use(seen, "a")

            busy = [asyncio.create_task(traffic()) for _ in range(3)]  # there is always one that has a lease
            await asyncio.sleep(0.1)
            begun = time.monotonic()
            await use(seen, "b")
            assert time.monotonic() - begun < room.PATIENCE + 10
            done = True
            await asyncio.gather(*busy)

    played(scene)


def test_crowding_at_the_start(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        models = [stored(tiny_gguf, name) for name in NAMES]
        async with running(models, memory=2 * ONE, settle=False) as seen:
            await asyncio.gather(*(use(seen, name) for name in [*NAMES, *reversed(NAMES)]))
            await seen.fleet.settled()
            await until(lambda: len(workers_of(orch_home)) <= 2, "no more than fit")

    played(scene)


def five(folder: Path) -> list[StoredModel]:
    """Five models of the same size that answer differently."""
    for number, name in enumerate(NAMES):
        make_gguf.write_decoder(str(folder / f"{name}.gguf"), "tiny", "f32", number + 1)
    return [stored(folder / f"{name}.gguf", name) for name in NAMES]


def test_random_switches_never_fail_and_never_mix(orch_home: Path, tmp_path: Path) -> None:
    seed = fresh_seed()
    print("seed", seed)
    chance = random.Random(seed)
    models = five(tmp_path)

    async def scene() -> None:
        answers: dict[str, str] = {}
        loads = 0
        async with running(models, memory=3 * ONE) as seen:
            for _ in range(SWITCHES // 2):
                pair = chance.choices(NAMES, k=2)
                told = await asyncio.gather(*(use(seen, name) for name in pair))
                for name, text in zip(pair, told, strict=True):
                    assert answers.setdefault(name, text) == text, f"{name} answered as another model"
            loads = sum(each.state == "loading" for each in seen.changes)
        assert len(set(answers.values())) == len(answers)
        print(SWITCHES, "switches,", loads, "loads")

    played(scene, SWITCHES * 10)


def test_the_memory_of_the_machine_is_the_limit_by_itself(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")], settings=SMALL) as seen:
            limit = seen.fleet._room.limit if seen.fleet._room else 0
            assert 2**28 < limit < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    played(scene)
