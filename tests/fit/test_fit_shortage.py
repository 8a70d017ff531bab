# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that is not there: refused before the load, failing in it, running out later. The limits are the kernel's."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from worker_process import start, until

from llama_orch.models.stored_model import StoredModel
from llama_orch.pool.fleet import Fleet, refusal
from llama_orch_utils.errors import EngineFailed
from llama_orch_utils.targets.local import WorkerSettings

MIB = 2**20
STARVING = (str(Path(__file__).with_name("starving_worker.py")),)


def limited(most: int) -> Callable[[], None]:
    """For a child: no more address space than `most` bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most))


def test_refused_before_the_load_with_the_numbers_and_what_fits(tiny_gguf: Path, orch_home: Path) -> None:
    worker = start(orch_home, tiny_gguf, "--context", "4000000", "--slots", "4", preexec_fn=limited(3 * 2**30))
    said = worker.read_said()[-1]
    worker.end()
    assert (said["event"], said["code"]) == ("failed", "out_of_memory")
    assert "keys and values 1.9 GiB" in said["message"]
    assert "are free" in said["message"]
    context = int(said["hint"].split("--context ")[1].split()[0])
    again = start(orch_home, tiny_gguf, "--context", str(context), "--slots", "4", preexec_fn=limited(3 * 2**30))
    said = again.read_said()[-1]
    assert said["event"] == "ready", again.log
    again.end()


def test_an_allocation_that_fails_in_the_load_is_told_as_such(
    tiny_gguf: Path, orch_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARVE", "load")
    worker = start(orch_home, tiny_gguf, "--context", "65536", "--slots", "4", command=STARVING)
    said = worker.read_said()[-1]
    assert (said["event"], said["code"]) == ("failed", "out_of_memory"), worker.log
    assert "allocate" in said["message"]
    assert "--context" in said["hint"]
    assert worker.process.wait(30) == 1
    worker.end()


def test_memory_that_runs_out_later_ends_no_more_than_the_worker(
    tiny_gguf: Path, orch_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker answers with an error or ends; one beside it goes on."""
    monkeypatch.setenv("STARVE", "later")
    monkeypatch.setenv("GO_ON", str(tmp_path / "go"))
    starving = start(orch_home, tiny_gguf, "--context", "4096", "--slots", "4", command=STARVING)
    assert starving.read_said()[-1]["event"] == "ready", starving.log
    other = start(orch_home, tiny_gguf, "--context", "256", "--slots", "2")
    assert other.read_said()[-1]["event"] == "ready", other.log
    assert starving.chat(max_tokens=2).status == 200
    (tmp_path / "go").touch()
    until((tmp_path / "go.limited").exists, "the limit")
    outcomes = set()
    for _ in range(3):
        try:
            outcomes.add(starving.chat("word " * 400, max_tokens=64).status)
        except OSError:
            outcomes.add(0)
            break
    assert outcomes <= {0, 200, 500, 503}
    assert other.chat(max_tokens=2).status == 200
    for each in (starving, other):
        each.end()


@pytest.mark.parametrize(
    ("words", "starved"),
    [
        ("terminate called after throwing an instance of 'std::bad_alloc'", False),
        (
            "ggml_backend_cuda_buffer_type_alloc_buffer: cudaMalloc failed: out of memory",
            False,
        ),
        ("nothing was said", True),
    ],
)
def test_a_worker_that_died_of_it_is_a_503_with_the_numbers(words: str, starved: bool) -> None:
    error = refusal.crashed("m", "killed by SIGKILL", words, reckoned=3 * 2**30, starved=starved)
    assert (error.status, error.code, error.retry_after) == (503, "out_of_memory", 1)
    assert "reckoned with 3.0 GiB" in error.message
    assert refusal.crashed("m", "exit status 1", "a defect").code == "worker_died"


def test_the_next_worker_is_smaller_and_the_fleet_goes_on(tiny_gguf: Path, orch_home: Path) -> None:
    """A model that ran out of memory comes back with half the slots; the one beside it never stops."""

    models = [StoredModel(name, tiny_gguf, tiny_gguf.stat().st_size) for name in ("a", "b")]

    async def scene() -> None:
        fleet = Fleet(models, store=None, settings=WorkerSettings(context=256, keep_alive=-1))
        await fleet.start()
        await fleet.settled()
        try:
            async with await fleet.lease("a", wait=60) as lease, await fleet.lease("b", wait=60) as beside:
                before = lease.slots
                member = fleet._members.of("a")
                member.crashed(refusal.crashed("a", "killed by SIGKILL", "std::bad_alloc", reckoned=MIB))
                assert beside.slots == before
            async with await fleet.lease("a", wait=60) as lease:
                assert lease.slots == before // 2
            assert next(each for each in fleet.models() if each.id == "b").restarts == 0
        finally:
            await fleet.close(2)

    asyncio.run(asyncio.wait_for(scene(), 120))


def test_a_model_that_can_never_fit_is_a_typed_503(tiny_gguf: Path, orch_home: Path) -> None:
    model = StoredModel("a", tiny_gguf, tiny_gguf.stat().st_size)

    async def scene() -> None:
        fleet = Fleet([model], store=None, settings=WorkerSettings(context=2**20, slots=2), memory=200 * MIB)
        await fleet.start()
        with pytest.raises(EngineFailed, match=r"a needs about .* GiB of memory; 200 MiB can be had") as caught:
            await fleet.settled()
        assert (caught.value.code, caught.value.status) == ("out_of_memory", 503)
        await fleet.close(2)

    asyncio.run(asyncio.wait_for(scene(), 60))
