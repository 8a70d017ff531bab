# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers and starters that are killed: the next call works, and nothing is left behind."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pool_home import WAIT, Home, alive, chat, close, open_chat, until
from processes import freeze
from seeds import fresh_seed

from llama_orch.engines.locks import is_held
from llama_orch.pool import lock, roster
from llama_orch.pool.health import ask
from llama_orch.pool.last_words import last_words
from llama_orch.pool.local import launcher
from llama_orch_utils.errors import EngineFailed, ModelNotFound
from llama_orch_utils.targets.local import LoadEvent, WorkerSettings

ENDLESS: dict[str, Any] = {"stream": True, "seed": 1, "max_tokens": 4000, "logit_bias": {"509": -100, "511": -100}}


def test_killed_while_loading(keeper: Home) -> None:
    def kill(event: LoadEvent) -> None:
        if event.kind == "loading":
            for pid in keeper.processes:
                os.kill(pid, signal.SIGKILL)

    with pytest.raises(EngineFailed) as caught:
        launcher(str(keeper.model), WorkerSettings(), kill)
    assert caught.value.code == "worker_died"
    assert "SIGKILL" in caught.value.message
    assert ".log" in (caught.value.hint or "")
    keeper.assert_nothing_left()
    assert chat(keeper.launch())[0] == 200


def test_a_crash_leaves_its_place_as_last_words(keeper: Home) -> None:
    def crash(event: LoadEvent) -> None:
        if event.kind == "loading" and event.progress == 0:
            for pid in keeper.processes:
                os.kill(pid, signal.SIGSEGV)

    with pytest.raises(EngineFailed) as caught:
        launcher(str(keeper.model), WorkerSettings(), crash)
    assert "SIGSEGV" in caught.value.message
    assert "Segmentation fault" in caught.value.last_words
    keeper.assert_nothing_left()


def test_killed_while_idle(keeper: Home) -> None:
    worker = keeper.launch()
    os.kill(worker.pid, signal.SIGKILL)
    until(lambda: not alive(worker.pid), "it was reaped")
    assert len(keeper.files) == 3
    again = keeper.launch()
    assert again.pid != worker.pid
    assert chat(again)[0] == 200
    os.kill(again.pid, signal.SIGKILL)
    until(lambda: not alive(again.pid), "it was reaped")
    assert roster.list_workers() == []
    keeper.assert_nothing_left()


def test_killed_in_the_middle_of_a_stream(keeper: Home) -> None:
    worker = keeper.launch()
    connection = open_chat(worker, **ENDLESS)
    answer = connection.getresponse()
    assert answer.readline().startswith(b"data: ")
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        answer.read()
    connection.close()
    assert "serving tiny" in last_words(worker)
    assert chat(keeper.launch())[0] == 200


def test_killed_at_random_moments_of_a_stream(keeper: Home) -> None:
    seed = fresh_seed()
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(5):
        worker = keeper.launch()
        connection = open_chat(worker, **ENDLESS)
        answer = connection.getresponse()
        for _ in range(chance.randrange(200)):
            answer.readline()
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            answer.read()
        connection.close()
    roster.list_workers()
    keeper.assert_nothing_left()


def test_the_starter_is_killed_while_the_worker_loads(keeper: Home) -> None:
    starter = keeper.starter()
    until(lambda: keeper.processes, "the worker was started")
    starter.kill()
    close(starter)
    worker = keeper.launch()
    assert chat(worker)[0] == 200
    assert keeper.processes == [worker.pid]
    assert "waiting" in [event.kind for event in keeper.events]


def test_stop_ends_workers_and_their_files(keeper: Home) -> None:
    worker = keeper.launch()
    with pytest.raises(ModelNotFound) as caught:
        roster.stop("tinny")
    assert caught.value.near_misses == ("tiny",)
    assert [record.pid for record in roster.stop("tiny")] == [worker.pid]
    keeper.assert_nothing_left()
    assert roster.stop() == []
    with pytest.raises(ModelNotFound):
        roster.stop(pid=worker.pid)


def test_stop_while_loading(keeper: Home) -> None:
    starter = keeper.starter()
    until(roster.list_workers, "it is listed while it loads")
    roster.stop()
    starter.wait(WAIT)
    close(starter)
    keeper.assert_nothing_left()


def test_stop_lets_a_short_answer_finish(keeper: Home) -> None:
    worker = keeper.launch()
    connection = open_chat(worker, **ENDLESS | {"max_tokens": 300})
    answer = connection.getresponse()
    answer.readline()
    stopping = threading.Thread(target=roster.stop)
    stopping.start()
    assert b"data: [DONE]" in answer.read()
    connection.close()
    stopping.join(WAIT)
    keeper.assert_nothing_left()


def test_a_frozen_worker_is_listed_and_can_be_stopped(keeper: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "_ASK_SECONDS", 0.5)
    worker = keeper.launch()
    freeze(worker.pid)
    health = ask(Path(worker.socket or ""), seconds=0.2)
    assert health is not None
    assert (health.state, health.pid) == ("silent", worker.pid)
    (record,) = roster.list_workers()
    assert (record.state, record.pid) == ("silent", worker.pid)
    roster.stop(seconds=0.2)
    keeper.assert_nothing_left()


def test_leftovers_with_a_reused_pid_harm_nobody(keeper: Home) -> None:
    worker = keeper.launch()
    record = Path(worker.socket or "").with_suffix(".json")
    facts = json.loads(record.read_text())
    os.kill(worker.pid, signal.SIGKILL)
    until(lambda: not alive(worker.pid), "it was reaped")
    record.write_text(json.dumps(facts | {"pid": os.getpid()}))
    assert roster.stop() == []
    keeper.assert_nothing_left()
    assert chat(keeper.launch())[0] == 200


def test_foreign_files_in_the_folder_harm_nobody(keeper: Home) -> None:
    worker = keeper.launch()
    folder = Path(worker.socket or "").parent
    (folder / "x.json").write_text("not json")
    (folder / "y.sock").touch()
    Path(worker.socket or "").with_suffix(".json").write_text('{"strange": 1}')
    assert roster.list_workers() == []
    assert keeper.launch().pid == worker.pid
    assert [name for name in keeper.files if name[0] in "xy"] == []
    os.kill(worker.pid, signal.SIGKILL)


def test_the_lock_ends_with_its_holder_and_survives_removal(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    first = lock.acquire(path)
    assert first is not None
    assert lock.acquire(path) is None
    assert is_held(path)
    first.release(remove=True)
    assert not path.exists()
    assert not is_held(path)
    second = lock.acquire(path)
    assert second is not None
    second.release()
    assert not is_held(path)


def test_killed_at_random_moments_of_a_start(keeper: Home) -> None:
    seed = fresh_seed()
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(8):
        starter = keeper.starter()
        deadline = time.monotonic() + chance.uniform(0, 1.5)
        until(lambda end=deadline: time.monotonic() >= end, "the moment")
        victims = [pid for pid in [starter.pid, *keeper.processes] if chance.random() < 0.6]
        for pid in victims:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        close(starter)
        # A killed process is listed until the kernel has taken it down, which a busy machine puts off.
        until(lambda: len(keeper.processes) <= 1, "one worker at most")
    worker = keeper.launch()
    assert chat(worker)[0] == 200
    assert keeper.processes == [worker.pid]
    roster.stop()
    keeper.assert_nothing_left()
