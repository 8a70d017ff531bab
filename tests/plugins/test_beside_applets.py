# SPDX-License-Identifier: GPL-3.0-or-later
"""Applets in orch's own environment, as the ready-made ones are: each run is confined as that of an installed one."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from applet_package import package

from llama_orch.applets import beside, catalogue
from llama_orch_utils import Client
from llama_orch_utils.applets import Files
from llama_orch_utils.errors import AppletError, BudgetExceeded, OrchError, TargetUnreachable, UnsupportedByTarget
from llama_orch_utils.testing import FakeTap, Script

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
KEY = "key-of-the-tap-that-nobody-may-see"
SPY = """
import os, socket
from pathlib import Path
from typing import Literal
from pydantic import BaseModel
from llama_orch_utils.applets import Context, applet

class Given(BaseModel):
    do: Literal["read", "write", "connect", "env", "say", "ask", "around", "open"]
    what: str = ""
    folder: Path | None = None

class Made(BaseModel):
    said: str

@applet(__package__)
def spy(given: Given, context: Context) -> Made:
    match given.do:
        case "read":
            return Made(said=Path(given.what).read_text())
        case "write":
            return Made(said=str(Path(given.what).write_text("x")))
        case "connect":
            socket.create_connection(("127.0.0.1", int(given.what)), 2)
        case "env":
            return Made(said=repr(dict(os.environ)) + Path("/proc/self/environ").read_text())
        case "ask":
            return Made(said=context.client.chat(given.what).text)
        case "around":
            import httpx
            found = context.client.openai_kwargs()
            body = {"model": "fake-model", "messages": [{"role": "user", "content": given.what}], "stream": True}
            head = {"authorization": f"Bearer {found['api_key']}"}
            return Made(said=httpx.post(f"{found['base_url']}/chat/completions", json=body, headers=head).text)
        case "open":
            return Made(said=context.files.text(given.what))
        case _:
            pass
    return Made(said=given.what)
"""
MANIFEST = """id = "spy"
version = "1.0"
summary = "Looks around"
licence = "MIT"
api = 1
[permissions]
files = {read = ["folder"]}
network = ["target"]
"""


@pytest.fixture
def spying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orch_home: Path) -> Path:
    """An applet in the ready-made way: a package beside orch."""
    package(tmp_path / "plugins", SPY, name="spy", manifest=MANIFEST, prompts={})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "plugins"))
    monkeypatch.setenv("CANARY_TOKEN", "canary-of-the-environment")
    return tmp_path


@pytest.fixture
def spy(spying: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[beside.Beside]:
    monkeypatch.syspath_prepend(str(spying / "nobody-gave-this"))
    monkeypatch.setattr(sys, "path", [sys.path[0], str(spying / "plugins"), *sys.path[1:]])
    found = catalogue.load("spy")
    assert found is not None
    assert isinstance(found.applet, beside.Beside), found.error
    yield found.applet
    found.applet.close()
    sys.modules.pop("applet_of_spy", None)


@pytest.fixture
def asked() -> Iterator[tuple[FakeTap, Client]]:
    with FakeTap(key=KEY) as tap, Client(tap.url, key=KEY) as client:
        yield tap, client


def test_the_command_gives_nothing_that_was_not_asked_for(run_orch: Orch, spying: Path) -> None:
    secret, given = spying / "secret.txt", spying / "given"
    secret.write_text("the secret")
    given.mkdir()
    (given / "a.txt").write_text("inside")
    (given / "link.txt").symlink_to(secret)
    home = spying / "home"
    home.mkdir()
    (home / ".bashrc").write_text("the owner's")
    with FakeTap(key=KEY) as tap, socket.create_server(("127.0.0.1", 0)) as other:
        environment = {"ORCH_TARGET": tap.url, "ORCH_API_KEY": KEY, "HOME": str(home)}

        def run(*words: object) -> subprocess.CompletedProcess[bytes]:
            return run_orch("spy", *map(str, words), "--json", env=environment)

        port = other.getsockname()[1]
        for words in (
            ("--do", "read", "--what", secret),
            ("--do", "read", "--what", given / "link.txt", "--folder", given),
            ("--do", "read", "--what", home / ".bashrc"),
            ("--do", "write", "--what", given / "new.txt", "--folder", given),
            ("--do", "connect", "--what", port),
            ("--do", "connect", "--what", tap.port),
        ):
            done = run(*words)
            assert done.returncode == 1, (words, done.stdout)
            assert done.stdout == b""
            assert done.stderr.startswith(b"error: applet spy was refused what it did not ask for"), done.stderr
            assert b"hint: orch applet ls shows what spy may touch" in done.stderr
        assert not (given / "new.txt").exists()
        assert json.loads(run("--do", "read", "--what", given / "a.txt", "--folder", given).stdout) == {
            "said": "inside"
        }
        seen = json.loads(run("--do", "env").stdout)["said"]
        assert KEY not in seen
        assert "canary" not in seen
        tap.script(Script(("From the target.",)))
        assert json.loads(run("--do", "ask", "--what", "Hi").stdout) == {"said": "From the target."}
        assert tap.asked[-1].headers["authorization"] == f"Bearer {KEY}"


def test_what_is_said_of_it_is_true(run_orch: Orch, spying: Path) -> None:
    rows = {row["id"]: row for row in json.loads(run_orch("applet", "ls", "--json").stdout)}
    for name in ("spy", "triage", "summarize"):
        assert rows[name]["enforced"] == {"files": True, "network": True}, name
    assert rows["spy"]["permissions"] == "read folder; network: the target only"


def test_the_folder_where_orch_was_started_is_not_given(spying: Path, orch_home: Path) -> None:
    (spying / "secret.txt").write_text("the secret")
    with FakeTap() as tap:
        done = subprocess.run(
            [sys.executable, "-m", "llama_orch.cli", "spy", "--do", "read", "--what", str(spying / "secret.txt")],
            cwd=spying, env={**os.environ, "ORCH_TARGET": tap.url}, capture_output=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert b"Permission denied" in done.stderr


def test_the_budget_holds_also_around_the_sdk(spy: beside.Beside) -> None:
    """Its process has the door only, and the door has the budget."""
    prices = {"input": 1_000_000, "output": 1_000_000}
    with FakeTap(pricing=prices, counts=False) as tap:
        with Client(tap.url, max_cost="0.01 EUR") as client:
            tap.script(Script(("Yes.",)))
            assert "Yes." in spy.invoke({"do": "around", "what": "Hi"}, client=client).output["said"]
            spent = client.spent
            assert spent > 0
            assert tap.asked[-1].json["max_tokens"] < 10_000
            tap.script(Script(("Yes.",)))
            assert spy.invoke({"do": "ask", "what": "Hi"}, client=client).output == {"said": "Yes."}
            assert client.spent > spent
        with Client(tap.url, max_cost="0.000001 EUR") as client:
            before = len([each for each in tap.asked if each.path.endswith("completions")])
            assert "budget_exceeded" in spy.invoke({"do": "around", "what": "Hi"}, client=client).output["said"]
            with pytest.raises(BudgetExceeded) as caught:
                spy.invoke({"do": "ask", "what": "Hi"}, client=client)
            assert caught.value.limit_source == "max_cost"
            assert len([each for each in tap.asked if each.path.endswith("completions")]) == before
    with FakeTap() as tap, Client(tap.url, max_cost=0.01) as client, pytest.raises(UnsupportedByTarget):
        spy.invoke({"do": "ask", "what": "Hi"}, client=client)


def test_errors_come_through_as_they_are_and_name_the_target(spy: beside.Beside, asked: Any) -> None:
    tap, client = asked
    tap.error(404, "no such model", code="model_not_found", near_misses=["tiny"])
    with pytest.raises(OrchError) as caught:
        spy.invoke({"do": "ask", "what": "Hi"}, client=client)
    assert type(caught.value).__name__ == "ModelNotFound"
    assert caught.value.near_misses == ("tiny",)  # type: ignore[attr-defined]
    with Client("http://127.0.0.1:9/v1", retries=0) as nobody, pytest.raises(TargetUnreachable) as lost:
        spy.invoke({"do": "ask", "what": "Hi"}, client=nobody)
    assert "http://127.0.0.1:9/v1 cannot be reached" in lost.value.message
    with pytest.raises(AppletError, match="outside the folders"):
        spy.invoke({"do": "open", "what": "/etc/passwd"}, client=client, files=Files([Path(__file__).parent]))


def test_one_process_stays_for_many_calls_and_a_busy_one_is_not_ended(
    spy: beside.Beside, asked: Any, tmp_path: Path
) -> None:
    tap, client = asked
    del tap
    began = time.perf_counter()
    spy.invoke({"do": "say", "what": "x"}, client=client)
    first = time.perf_counter() - began
    times: list[float] = []
    for _ in range(30):
        began = time.perf_counter()
        spy.invoke({"do": "say", "what": "x"}, client=client)
        times.append(time.perf_counter() - began)
    print(f"first start {first * 1000:.0f} ms, warm call {statistics.median(times) * 1000:.2f} ms")
    assert len(spy._processes) == 1  # pyright: ignore[reportPrivateUsage]
    busy = spy._taken((), ())  # pyright: ignore[reportPrivateUsage] - a run that goes on meanwhile
    for number in range(9):
        folder = tmp_path / str(number)
        folder.mkdir()
        spy.invoke({"do": "say", "what": "x", "folder": str(folder)}, client=client, files=Files([folder]))
    kept = spy._processes  # pyright: ignore[reportPrivateUsage]
    assert len(kept) == 8
    assert busy in kept.values()
    assert busy.hosted.schema()["id"] == "spy"
    spy.close()
    assert not busy.folder.exists()


def test_an_error_that_names_the_key_does_not_tell_it(spy: beside.Beside, asked: Any) -> None:
    tap, client = asked
    tap.error(401, f"{KEY} is no key", code="invalid_api_key")
    with pytest.raises(OrchError) as caught:
        spy.invoke({"do": "ask", "what": "Hi"}, client=client)
    assert "[key] is no key" in caught.value.message
    assert KEY not in str(vars(caught.value))


def test_a_request_that_the_budget_shortened_has_a_name_of_its_own(spy: beside.Beside) -> None:
    """A tap that keeps answers would refuse another body under the same name."""
    names: list[str] = []
    with FakeTap(pricing={"input": 1_000_000, "output": 1_000_000}, counts=False) as tap:
        for cap in ("0.01 EUR", "0.02 EUR", "0.01 EUR", None):
            with Client(tap.url, max_cost=cap) as client:
                spy.invoke({"do": "ask", "what": "Hi"}, client=client, repeat="work")
            names.append(tap.asked[-1].headers["idempotency-key"])
    assert all(name.startswith("work-") for name in names)
    assert names[0] != names[1]
    assert names[0] == names[2]
    assert names[0].startswith(names[3])
