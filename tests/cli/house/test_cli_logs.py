# SPDX-License-Identifier: GPL-3.0-or-later
"""The conversation log and `orch logs`."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fake_tap import RIGHT_KEY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from llama_orch.cli.logs import store
from llama_orch.cli.logs.command import LOGS
from llama_orch_utils.errors import ConfigError

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
Told = Callable[["subprocess.CompletedProcess[bytes]"], str]


def turn(prompt: str = "What is a tap?", answer: str = "An endpoint.", **more: object) -> store.Turn:
    """A turn with the demo."""
    return store.Turn(prompt=prompt, answer=answer, target="local", model="orch-demo", **more)


def keys_of(name: str) -> set[str]:
    """The documented JSON keys of a command."""
    return set(next(each for each in LOGS.commands if each.name == name).prints)


def test_turns_are_kept_and_read_back(orch_home: Path) -> None:
    first = store.record(turn(input_tokens=7, output_tokens=3, system="Be brief.", request_id="r1", cost=12))
    assert first is not None
    assert store.record(turn("And a worker?", "A process.", conversation=first)) == first
    second = store.record(turn("Hello"))
    assert second is not None
    assert second > first
    assert [each.prompt for each in store.turns(first)] == ["What is a tap?", "And a worker?"]
    assert store.turns(first)[0].cost == 12
    found = store.conversations(10)
    assert [(each.id, each.turns, each.prompt) for each in found] == [
        (second, 1, "Hello"),
        (first, 2, "What is a tap?"),
    ]
    assert [each.id for each in store.conversations(1)] == [second]


def test_nobody_else_reads_it(orch_home: Path) -> None:
    with store._open(create=True) as database:  # while it is open, its -wal and -shm are there too
        database.execute("SELECT 1")
        store.record(turn())
        files = [*(orch_home / "state").glob("conversations.db*")]
        assert len(files) >= 1
        assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    assert stat.S_IMODE((orch_home / "state").stat().st_mode) == 0o700


def test_no_key_is_kept(orch_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCH_API_KEY", "canary of the environment")
    store.record(
        turn(f"my key is {RIGHT_KEY}", f"{RIGHT_KEY} it is: canary of the environment", system=f"Bearer {RIGHT_KEY}")
    )
    content = b"".join(each.read_bytes() for each in (orch_home / "state").iterdir())
    assert b"canary" not in content
    assert b"my key is [key]" in content


def test_search(orch_home: Path, run_orch: Orch) -> None:
    store.record(turn("100% of it", "yes"))
    store.record(turn("100 of it", "a_b!"))
    for text, expected in (
        ("100%", ["100% of it"]),
        ("A_B!", ["100 of it"]),
        ("of IT", ["100 of it", "100% of it"]),
        ("%", ["100% of it"]),
    ):
        assert [each.prompt for each in store.conversations(9, text)] == expected
    assert store.conversations(9, None, "other-model") == []
    assert len(run_orch("logs", "ls", "--search", "100%", "-q").stdout.split()) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(prompt=st.text(), answer=st.text())
def test_any_text_is_kept(prompt: str, answer: str, orch_home: Path) -> None:
    wanted = store._storable(prompt), store._storable(answer)
    conversation = store.record(turn(prompt, answer))
    assert conversation is not None
    found = store.turns(conversation)[0]
    if "[key]" not in found.prompt + found.answer:
        assert (found.prompt, found.answer) == wanted


def test_many_processes_write_at_once(orch_home: Path) -> None:
    script = (
        "from llama_orch.cli.logs import store\n"
        "for n in range(20): store.record(store.Turn(prompt=str(n), answer='', target='local', model='m'))"
    )
    with ThreadPoolExecutor(4) as pool:
        done = list(
            pool.map(
                lambda _: subprocess.run([sys.executable, "-c", script], capture_output=True, check=False), range(4)
            )
        )
    assert [each.stderr for each in done] == [b""] * 4
    assert len(store.conversations(1000)) == 80


def test_off_for_good_and_for_one_call(orch_home: Path, run_orch: Orch, monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads(run_orch("logs", "off", "--json").stdout) == {"logging": False}
    assert store.record(turn()) is None
    assert not store.log_file().exists()
    assert set(json.loads(run_orch("logs", "path", "--json").stdout)) == keys_of("path")
    assert json.loads(run_orch("logs", "on", "--json").stdout) == {"logging": True}
    monkeypatch.setenv("ORCH_NO_LOG", "1")
    assert store.record(turn()) is None
    assert b"logging stays off: environment ORCH_NO_LOG" in run_orch("logs", "on").stderr


def test_the_command(orch_home: Path, run_orch: Orch, told: Told, snapshot: SnapshotAssertion) -> None:
    assert told(run_orch("logs")) == snapshot(name="nothing yet")
    assert told(run_orch("logs", "show")) == snapshot(name="nothing to show")
    conversation = store.record(turn("Two\nlines?", "One\ttab.\n\x1b]0;title\x07", conversation="0123456789abcde"))
    assert conversation == "0123456789abcde"
    for line in (
        ["logs"],
        ["logs", "show"],
        ["logs", "show", conversation, "-q"],
        ["logs", "show", "zzz"],
        ["logs", "rm"],
    ):
        assert told(run_orch(*line)) == snapshot(name=" ".join(line))
    assert [set(each) for each in json.loads(run_orch("logs", "--json").stdout)] == [keys_of("ls")]
    assert [set(each) for each in json.loads(run_orch("logs", "show", "--json").stdout)] == [keys_of("show")]


def test_forgetting_leaves_nothing(orch_home: Path, run_orch: Orch) -> None:
    kept = store.record(turn("to be kept"))
    gone = store.record(turn("to be forgotten, every letter"))
    assert gone is not None
    assert run_orch("logs", "rm", gone).returncode == 0
    assert run_orch("logs", "rm", gone).returncode == 1
    content = b"".join(each.read_bytes() for each in (orch_home / "state").iterdir())
    assert b"every letter" not in content
    assert [each.id for each in store.conversations(9)] == [kept]
    assert json.loads(run_orch("logs", "rm", "--all", "--json").stdout) == {"turns": 1}


@pytest.mark.parametrize("harm", ["garbage", "newer", "folder"])
def test_a_log_that_cannot_be_used(harm: str, orch_home: Path, run_orch: Orch) -> None:
    store.record(turn())
    path = store.log_file()
    if harm == "newer":
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
    else:
        path.unlink()
        path.mkdir() if harm == "folder" else path.write_bytes(b"no database at all" * 100)
    with pytest.raises(ConfigError) as raised:
        store.record(turn())
    assert raised.value.hint
    done = run_orch("logs")
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: ")
    assert b"\n\nhint: " in done.stderr
    assert b"Traceback" not in done.stderr
