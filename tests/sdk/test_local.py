# SPDX-License-Identifier: GPL-3.0-or-later
"""The local target: found through the entry point, reached over a Unix socket, mourned when it dies."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest
from processes import freeze

from llama_orch_utils import Client, ConfigError, EngineFailed, LoadEvent, WorkerSettings
from llama_orch_utils.targets import starter
from llama_orch_utils.targets.local import LoadListener, LocalWorker
from llama_orch_utils.testing import FakeTap

# A worker that can be killed: a fake tap in a process of its own.
WORKER = """
import sys, time
from llama_orch_utils.testing import FakeTap, Script
with FakeTap(socket=sys.argv[1], models=("tiny",)) as tap:
    tap.default = Script(("one ", "two ", "three "), pause=float(sys.argv[2]))
    print("ready", flush=True)
    time.sleep(600)
"""


class Launcher:
    """Starts such workers, as the GPL package starts its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.asked: list[tuple[str | None, WorkerSettings]] = []
        self.pause = 0.0

    def __call__(
        self, model: str | None, settings: WorkerSettings, listener: LoadListener | None = None
    ) -> LocalWorker:
        self.asked.append((model, settings))
        number = len(self.processes)
        path, log = self.folder / f"{number}.sock", self.folder / f"{number}.log"
        log.write_text("loading\nCUDA error: out of memory\n")
        if listener is not None:
            listener(LoadEvent("loading", progress=0.5))
        process = subprocess.Popen([sys.executable, "-c", WORKER, str(path), str(self.pause)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        self.processes.append(process)
        return LocalWorker("tiny", "http://localhost", str(path), process.pid, log=str(log))

    def kill(self) -> None:
        self.processes[-1].kill()
        self.processes[-1].wait()


@pytest.fixture
def launcher(orch_home: Path) -> Iterator[Launcher]:
    launcher = Launcher(orch_home)
    yield launcher
    for process in launcher.processes:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_the_worker_is_started_at_the_first_call_and_used_again(launcher: Launcher):
    events: list[LoadEvent] = []
    with Client("local", launcher=launcher, listener=events.append) as client:
        assert not launcher.asked
        assert client.chat("hi").text == "one two three "
        answer = client.chat("hi")
        assert (answer.model, answer.target) == ("tiny", "local")
        assert "".join(piece.text for piece in client.stream("hi")) == "one two three "
    assert len(launcher.processes) == 1
    assert [event.kind for event in events] == ["loading"]
    assert launcher.asked == [(None, WorkerSettings())]


def test_settings_come_from_the_configuration(launcher: Launcher, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ORCH_CONTEXT", "2048")
    monkeypatch.setenv("ORCH_KEEP_ALIVE", "1h")
    monkeypatch.setenv("ORCH_MODEL", "mine")
    with Client(launcher=launcher) as client:
        client.chat("hi")
    assert launcher.asked == [("mine", WorkerSettings(context=2048, keep_alive=3600.0))]


def test_each_model_has_its_worker(launcher: Launcher):
    with Client("local", launcher=launcher) as client:
        client.chat("hi", model="a")
        client.chat("hi", model="b")
        client.chat("hi", model="a")
    assert [model for model, _ in launcher.asked] == ["a", "b"]


def test_a_worker_killed_mid_stream_is_an_engine_failure_with_its_last_words(launcher: Launcher):
    launcher.pause = 0.3
    with Client("local", launcher=launcher) as client:
        stream = client.stream("hi")
        with pytest.raises(EngineFailed, match="out of memory") as caught:
            _ = [launcher.kill() for _ in stream]
        assert caught.value.last_words == "loading\nCUDA error: out of memory"
        assert stream.text == "one "
        launcher.pause = 0.0
        assert client.chat("again").text == "one two three ", "the next call starts a new one"
    assert len(launcher.processes) == 2


def test_a_worker_killed_during_a_whole_answer(launcher: Launcher):
    import threading
    import time

    with Client("local", launcher=launcher) as client:
        client.chat("hi")
        process = launcher.processes[-1]
        freeze(process.pid)  # it accepts and does not answer
        asking = threading.get_ident()

        def reading(code: CodeType) -> bool:
            return code.co_name == "read" and code.co_filename.endswith("transport/blocking.py")

        def kill_while_it_waits() -> None:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and not reading(sys._current_frames()[asking].f_code):
                time.sleep(0.01)
            process.kill()

        killer = threading.Thread(target=kill_while_it_waits)
        killer.start()
        with pytest.raises(EngineFailed):
            client.chat("hi")
        killer.join()
        assert client.chat("hi").text == "one two three "


def test_a_worker_that_ended_between_two_calls_is_replaced_in_silence(launcher: Launcher):
    with Client("local", launcher=launcher) as client:
        client.chat("hi")
        launcher.kill()
        assert client.chat("hi").text == "one two three "
        launcher.kill()
        assert "".join(piece.text for piece in client.stream("hi")) == "one two three "
    assert len(launcher.processes) == 3


def test_a_key_for_the_local_target_is_a_mistake():
    with pytest.raises(ConfigError, match="takes no key"):
        Client("local", key="x")


def test_without_anything_that_can_run_a_model_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(starter, "ENTRY_POINT_GROUP", "llama_orch.none")
    with Client("local") as client, pytest.raises(ConfigError) as caught:
        client.chat("hi")
    assert caught.value.hint == "pip install 'llama-orch[local]'"


def test_an_entry_point_that_cannot_be_imported_says_the_same(tmp_path: Path):
    folder = tmp_path / "broken-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[llama_orch.nothing]\npool = no_such_module:launcher\n")
    code = """
        from llama_orch_utils.targets import starter
        from llama_orch_utils import Client, ConfigError
        starter.ENTRY_POINT_GROUP = "llama_orch.nothing"
        try:
            Client("local").chat("hi")
        except ConfigError as error:
            print(error.hint)
    """
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=env, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "pip install 'llama-orch[local]'"


def test_a_fake_tap_on_a_unix_socket(orch_home: Path):
    path = str(orch_home / "tap.sock")
    with FakeTap(socket=path) as tap:

        def launch(model, settings, listener=None):
            return LocalWorker("fake-model", "http://localhost", path, os.getpid())

        with Client("local", launcher=launch) as client:
            tap.answer("over a socket")
            assert client.chat("hi").text == "over a socket"
            assert tap.asked[0].headers["host"] == "localhost"
            assert tap.asked[0].key is None
