# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding and starting workers."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pool_home import STARTER, WAIT, Home, alive, chat, close, until
from processes import environment_of, freeze

from llama_orch.pool import launch, lock, roster, spawn
from llama_orch.pool.health import ask
from llama_orch.pool.last_words import last_words
from llama_orch.pool.local import launcher
from llama_orch_utils.errors import ConfigError, EngineFailed, ModelNotFound, TargetTimeout
from llama_orch_utils.targets.local import LoadEvent, LocalWorker, WorkerSettings


def test_a_worker_is_started_once_and_found_again(keeper: Home) -> None:
    first = keeper.launch()
    kinds = [event.kind for event in keeper.events]
    assert kinds[0] == "starting"
    assert kinds[-1] == "ready"
    assert "loading" in kinds
    assert (first.model, first.url, first.demo) == ("tiny", "http://localhost", False)
    assert chat(first)[0] == 200
    keeper.events.clear()
    second = keeper.launch()
    assert second == first
    assert keeper.events == []
    assert keeper.processes == [first.pid]
    folder = Path(first.socket or "").parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in sorted(folder.iterdir())] == [0o600] * 3
    assert stat.S_IMODE(Path(first.log or "").stat().st_mode) == 0o600


def test_a_warm_worker_is_found_in_three_milliseconds(keeper: Home) -> None:
    worker = keeper.launch()
    seconds: list[float] = []
    for _ in range(50):
        began = time.perf_counter()
        health = ask(Path(worker.socket or ""), keep_alive=300)
        seconds.append(time.perf_counter() - began)
        assert health is not None
        assert health.state == "ok"
    assert min(seconds) < 0.003


def test_two_starters_at_once_share_one_worker(keeper: Home) -> None:
    starters = [keeper.starter() for _ in range(4)]
    said = [_until_pid(starter) for starter in starters]
    assert len({lines[-1] for lines in said}) == 1
    assert len(keeper.processes) == 1
    started = [lines for lines in said if any("starting" in line for line in lines)]
    assert len(started) == 1
    assert [close(starter) for starter in starters] == [0] * 4
    assert alive(keeper.processes[0])


def _until_pid(starter: subprocess.Popen[str]) -> list[str]:
    assert starter.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("pid"):
        line = starter.stdout.readline()
        assert line, lines
        lines.append(line)
    return lines


def test_threads_of_one_process_share_one_worker(keeper: Home) -> None:
    found: list[LocalWorker] = []
    threads = [threading.Thread(target=lambda: found.append(keeper.launch())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert len(set(found)) == 1
    assert len(found) == 4
    assert "waiting" in [event.kind for event in keeper.events]


def test_settings_make_a_worker_of_their_own(keeper: Home) -> None:
    wide = keeper.launch(context=2048)
    assert keeper.launch().pid == wide.pid
    assert keeper.launch(keep_alive=10).pid == wide.pid
    narrow = keeper.launch(context=512, slots=2)
    assert narrow.pid != wide.pid
    assert keeper.launch(slots=2).pid == narrow.pid
    records = {record.pid: record for record in roster.list_workers()}
    assert records[wide.pid].context == 2048
    assert (records[narrow.pid].context, records[narrow.pid].slots) == (512, 2)


def test_a_replaced_file_is_another_model(keeper: Home) -> None:
    mine = keeper.path / "mine.gguf"
    shutil.copy(keeper.model, mine)
    first = keeper.launch(mine)
    mine.unlink()
    shutil.copy(keeper.model, mine)
    assert keeper.launch(mine).pid != first.pid


def test_the_worker_is_detached_and_knows_no_secrets(keeper: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ORCH_API_KEY", "OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "my_key"):
        monkeypatch.setenv(name, "canary-1234")
    monkeypatch.setenv("MONKEY", "kept")
    clean = spawn.environment()
    assert "canary-1234" not in clean.values()
    assert clean["MONKEY"] == "kept"
    worker = keeper.launch()
    assert os.getsid(worker.pid) == worker.pid
    told = environment_of(worker.pid)
    assert "MONKEY=kept" in told
    assert "canary-1234" not in told


def test_an_interrupt_in_the_terminal_is_not_for_the_worker(keeper: Home) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(keeper.model), "300"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    _until_pid(starter)
    os.killpg(starter.pid, signal.SIGINT)
    close(starter)
    (pid,) = keeper.processes
    assert chat(keeper.launch())[0] == 200
    assert alive(pid)


def test_interrupting_the_start_ends_the_worker(keeper: Home) -> None:
    def interrupt(event: LoadEvent) -> None:
        if event.kind == "loading":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launcher(str(keeper.model), WorkerSettings(), interrupt)
    keeper.assert_nothing_left()


def test_keep_alive_zero_ends_with_its_starter(keeper: Home) -> None:
    starter = keeper.starter(keep_alive=0)
    _until_pid(starter)
    worker = keeper.launch(keep_alive=0)
    assert chat(worker)[0] == 200
    assert alive(worker.pid)
    close(starter)
    until(lambda: keeper.processes == [], "the worker ended with its starter")
    keeper.assert_nothing_left()


def test_a_file_that_is_no_model_fails_with_the_last_words(keeper: Home) -> None:
    broken = keeper.path / "broken.gguf"
    broken.write_bytes(keeper.model.read_bytes()[:5000])
    with pytest.raises(EngineFailed) as caught:
        keeper.launch(broken)
    assert caught.value.last_words
    assert "Traceback" not in caught.value.message
    keeper.assert_nothing_left()


def test_a_model_that_is_not_there(keeper: Home) -> None:
    with pytest.raises(ModelNotFound):
        keeper.launch(keeper.path / "missing.gguf")
    assert keeper.files == []


def test_a_load_that_gets_stuck_is_ended(keeper: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawn, "STALL_SECONDS", 1.0)

    def stuck(event: LoadEvent) -> None:
        if event.kind == "loading":
            freeze(*keeper.processes)

    with pytest.raises(TargetTimeout) as caught:
        launcher(str(keeper.model), WorkerSettings(), stuck)
    assert (caught.value.phase, caught.value.seconds) == ("load", 1.0)
    keeper.assert_nothing_left()


def test_what_a_killed_worker_had_started_ends_with_it() -> None:
    """A child that hangs (here: is frozen) would hold the worker's lock for ever."""
    script = "sleep 600 & echo $!; wait"
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    with process.stdout:
        freeze(int(process.stdout.readline()))
        spawn.kill(process)
        assert process.wait(60) == -signal.SIGKILL
        assert process.stdout.read() == b""  # the child had the other end as well
    spawn.kill(process)  # harmless when all have gone


def test_waiting_for_somebody_who_never_gets_ready_ends(keeper: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "STALL_SECONDS", 0.3)
    place = launch.place_of(launch_model(keeper), WorkerSettings())
    place.folder.mkdir(parents=True, mode=0o700)
    held = lock.acquire(place.lock)
    assert held is not None
    with pytest.raises(TargetTimeout) as caught:
        keeper.launch()
    assert "orch stop" in (caught.value.hint or "")
    assert [event.kind for event in keeper.events] == ["waiting"]
    held.release(remove=True)
    keeper.assert_nothing_left()


def launch_model(keeper: Home) -> launch.StoredModel:
    from llama_orch.models import Store

    return Store().resolve(str(keeper.model))


def test_without_the_engine_it_says_what_to_install(keeper: Home) -> None:
    script = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name == "llama_cpp":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Without())
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "llama_cpp" else real(name, package)
from llama_orch.pool.local import launcher
from llama_orch_utils.errors import ConfigError
from llama_orch_utils.targets.local import WorkerSettings
try:
    launcher(sys.argv[1], WorkerSettings())
except ConfigError as error:
    print(error.message, "|", error.hint)
"""
    command = [sys.executable, "-c", script, str(keeper.model)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=WAIT).stdout
    assert "not installed (llama_cpp)" in said
    assert "pip install 'llama-orch[local]'" in said
    keeper.assert_nothing_left()


def test_a_home_that_cannot_be_written(keeper: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = keeper.path / "file"
    blocked.touch()
    monkeypatch.setenv("ORCH_HOME", str(blocked))
    with pytest.raises(ConfigError) as caught:
        keeper.launch()
    assert str(blocked) in caught.value.message
    assert caught.value.hint


def test_a_full_disk_is_said_in_words(keeper: Home) -> None:
    place = launch.place_of(launch_model(keeper), WorkerSettings())
    place.log.parent.mkdir(parents=True)
    place.log.symlink_to("/dev/full")
    with pytest.raises(ConfigError) as caught:
        keeper.launch()
    assert "No space left" in caught.value.message
    assert str(place.log) in caught.value.message
    keeper.assert_nothing_left()


def test_a_long_home_gets_a_short_socket(keeper: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home = keeper.path / ("long" * 40)
    home.mkdir()
    monkeypatch.setenv("ORCH_HOME", str(home))
    worker = keeper.launch()
    folder = Path(worker.socket or "").parent
    try:
        assert len(worker.socket or "") < 100
        assert chat(worker)[0] == 200
    finally:
        roster.stop()
        assert list(folder.iterdir()) == []
        shutil.rmtree(folder.parent)


def test_a_relative_home_means_the_same_to_the_worker(keeper: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(keeper.path.parent)
    monkeypatch.setenv("ORCH_HOME", keeper.path.name)
    assert chat(keeper.launch())[0] == 200
    assert (keeper.path / "cache").exists()


def test_the_keeper_stays_light(keeper: Home) -> None:
    keeper.launch()
    script = """
import sys
from llama_orch.pool.local import launcher
from llama_orch.pool.roster import list_workers, stop
from llama_orch_utils.targets.local import WorkerSettings
assert launcher(sys.argv[1], WorkerSettings()).pid
assert list_workers()
print(*sys.modules)
"""
    command = [sys.executable, "-c", script, str(keeper.model)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, timeout=WAIT).stdout.split()
    heavy = {"llama_cpp", "numpy", "asyncio", "uvicorn", "httpx", "pydantic", "ssl", "keyring", "rich", "typer"}
    assert not heavy & set(loaded)
    assert not [name for name in loaded if name.startswith(("llama_orch.engine.", "llama_orch.worker"))]
    assert "subprocess" not in loaded  # a warm worker needs none


def test_last_words_are_of_the_last_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\n--- a worker starts ---\na\nb\nc\n")
    assert last_words(log, lines=2) == "b\nc"
    assert last_words(str(log)) == "a\nb\nc"
    assert last_words(tmp_path / "none") == ""
    assert last_words(None) == ""
