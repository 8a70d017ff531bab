# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a fleet for models: what one gets, what one is refused, and what it costs."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from fleet_home import SMALL, WAIT, ask, linked, played, running, stored, until
from processes import workers_of

from llama_orch.models.store import Store
from llama_orch.pool import roster
from llama_orch.pool.fleet import Fleet
from llama_orch_utils.errors import BadRequest, EngineFailed, ModelNotFound
from llama_orch_utils.targets.local import LoadEvent, WorkerSettings


def test_a_lease_is_the_right_to_ask_the_model(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")]) as seen:
            async with await seen.fleet.lease(None, wait=WAIT) as lease:
                assert (lease.model, lease.slots, lease.context) == ("tiny", 2, 256)
                assert (await ask(lease))["model"] == "tiny"
                assert seen.model("tiny").active == 1
            told = seen.model("tiny")
            assert (told.state, told.active, told.slots, told.context) == ("ready", 0, 2, 256)
            assert told.capabilities == ("completion", "chat")
            assert told.context_train == 4096
            assert told.pid in workers_of(orch_home)
            assert told.loaded_at is not None
            assert told.used_at is not None
        assert workers_of(orch_home) == []
        assert list((orch_home / "run" / "workers").iterdir()) == []

    played(scene)


def test_a_warm_lease_is_had_without_waiting(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")]) as seen:
            for name in (None, "tiny", "tiny:latest"):
                step = seen.fleet.lease(name, wait=0)
                with pytest.raises(StopIteration) as caught:
                    step.send(None)  # the first step is the last one
                caught.value.value.release()
                caught.value.value.release()
            assert seen.model("tiny").active == 0

    played(scene)


def test_names_that_mean_nothing(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")], store=Store()) as seen:
            for name in (str(tiny_gguf), "../tiny", "TINY", "", "tiny\x00", "x" * 10_000, "tiny:latest:latest"):
                with pytest.raises(ModelNotFound) as caught:
                    await seen.fleet.lease(name, wait=WAIT)
                assert len(caught.value.message) < 200
            with pytest.raises(ModelNotFound) as caught:
                seen.fleet.find("tinny")
            assert caught.value.near_misses == ("tiny",)
            assert "tiny" in (caught.value.hint or "")

    played(scene)


def test_an_installed_model_is_loaded_when_it_is_asked_for(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        store = linked(tiny_gguf, "other:1b")
        async with running([stored(tiny_gguf, "tiny")], store=store) as seen:
            assert [each.id for each in seen.fleet.models()] == ["tiny", "orch-demo", "other:1b"]
            assert seen.model("other:1b").state == "unloaded"
            async with await seen.fleet.lease("other:1b", wait=WAIT) as lease:
                assert (await ask(lease))["model"] == "other:1b"
            store.link(tiny_gguf, "newer")
            async with await seen.fleet.lease("newer", wait=WAIT) as lease:
                assert (await ask(lease))["model"] == "newer"
            await until(lambda: seen.model("orch-demo").capabilities, "its file was read in the background")

    played(scene)


def test_only_the_named_ones_without_a_store(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")]) as seen:
            with pytest.raises(ModelNotFound):
                await seen.fleet.lease("orch-demo", wait=WAIT)

    played(scene)


def test_a_name_that_stands_for_another_file_now(orch_home: Path, tiny_gguf: Path, demo_gguf: Path) -> None:
    async def scene() -> None:
        store = linked(tiny_gguf, "mine")
        async with running([stored(tiny_gguf, "tiny")], store=store) as seen:
            async with await seen.fleet.lease("mine", wait=WAIT) as lease:
                store.remove("mine")
                store.link(demo_gguf, "mine")
                await until(lambda: seen.fleet.find("mine").stored.path == demo_gguf, "the new file is known")
                first = (await ask(lease))["choices"]  # the old worker answers whom it serves already
            async with await seen.fleet.lease("mine", wait=WAIT) as lease:
                assert lease.context == 256
                assert (await ask(lease))["choices"] != first
            store.remove("mine")
            await until(lambda: len(workers_of(orch_home)) == 2, "the old worker has gone")
            await asyncio.sleep(1.1)  # the store is looked at once a second
            with pytest.raises(ModelNotFound):
                await seen.fleet.lease("mine", wait=WAIT)
            await until(lambda: len(workers_of(orch_home)) == 1, "what nobody can ask for any more has gone")

    played(scene)


def test_many_who_want_the_same_model_share_one_load(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")], settle=False) as seen:
            assert seen.fleet.starting
            leases = await asyncio.gather(*(seen.fleet.lease("tiny", wait=WAIT) for _ in range(20)))
            assert len({lease.socket for lease in leases}) == 1
            assert seen.states("tiny").count("loading") == 1
            assert len(workers_of(orch_home)) == 1
            assert seen.model("tiny").active == 20
            for lease in leases:
                lease.release()

    played(scene)


def test_who_does_not_wait_is_told_when_to_come_back(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")], settle=False) as seen:
            with pytest.raises(EngineFailed) as caught:
                await seen.fleet.lease("tiny", wait=0)
            assert (caught.value.code, caught.value.status) == ("loading", 503)
            assert caught.value.retry_after
            await seen.fleet.settled()
            assert not seen.fleet.starting
            (await seen.fleet.lease("tiny", wait=0)).release()

    played(scene)


def test_a_client_that_goes_while_it_waits_leaves_nothing(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")], settle=False) as seen:
            waiting = [asyncio.create_task(seen.fleet.lease("tiny", wait=WAIT)) for _ in range(5)]
            await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await seen.fleet.settled()
            member = seen.fleet._members.of("tiny")
            assert (member.claims, member.active) == (0, 0)

    played(scene)


def test_what_a_worker_says_while_it_loads_is_heard(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        heard: list[tuple[str, LoadEvent]] = []
        async with running([stored(tiny_gguf, "tiny")], settle=False) as seen:
            seen.fleet.on_event = lambda name, event: heard.append((name, event))
            await seen.fleet.settled()
        assert {name for name, _ in heard} == {"tiny"}
        assert [event.progress for _, event in heard if event.kind == "loading"][-1] == 1.0

    played(scene)


def test_an_idle_model_goes_after_its_keep_alive(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        settings = WorkerSettings(context=256, slots=2, keep_alive=0.5)
        models = [stored(tiny_gguf, "tiny"), stored(tiny_gguf, "kept")]
        async with running(models, settings=settings, pinned=["kept"]) as seen:
            async with await seen.fleet.lease("tiny", wait=WAIT) as lease:
                await asyncio.sleep(1.1)  # the watch looks once a second
                await ask(lease)  # not while somebody has it
            await until(lambda: seen.model("tiny").state == "unloaded", "it went")
            assert seen.model("kept").state == "ready"
            async with await seen.fleet.lease("tiny", wait=WAIT) as lease:
                await ask(lease)

    played(scene)


def test_a_worker_that_somebody_stops_comes_back(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        async with running([stored(tiny_gguf, "tiny")]) as seen:
            pid = seen.model("tiny").pid
            assert [each.pid for each in await asyncio.to_thread(roster.stop)] == [pid]
            await until(lambda: seen.model("tiny").state == "unloaded", "it was noticed")
            async with await seen.fleet.lease("tiny", wait=WAIT) as lease:
                await ask(lease)
            assert seen.model("tiny").pid != pid

    played(scene)


def test_two_fleets_have_workers_of_their_own(orch_home: Path, tiny_gguf: Path) -> None:
    async def scene() -> None:
        models = [stored(tiny_gguf, "tiny")]
        async with running(models) as one, running(models) as two:
            assert one.model("tiny").pid != two.model("tiny").pid
            async with await one.fleet.lease(None, wait=0) as lease:
                await ask(lease)
            async with await two.fleet.lease(None, wait=0) as lease:
                await ask(lease)
            assert len(roster.list_workers()) == 2

    played(scene)


def test_models_that_cannot_be_named(orch_home: Path, tiny_gguf: Path) -> None:
    copy = orch_home / "copy.gguf"
    shutil.copy(tiny_gguf, copy)
    with pytest.raises(BadRequest) as caught:
        Fleet([stored(tiny_gguf, "tiny"), stored(copy, "tiny")], store=None, settings=SMALL)
    assert "--name" in (caught.value.hint or "")
    assert Fleet([stored(tiny_gguf, "tiny")] * 2, store=None, settings=SMALL).models()[0].id == "tiny"
    with pytest.raises(BadRequest):
        Fleet([], store=None, settings=SMALL)
    with pytest.raises(ModelNotFound):
        Fleet([stored(tiny_gguf, "tiny")], store=None, settings=SMALL, pinned=["other"])
