# SPDX-License-Identifier: GPL-3.0-or-later
"""An installed applet on a tap: offered when tap.toml names it, and run from its own environment."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import applet_house
import pytest
from operator_tap import OperatorTap

from llama_orch.ledger.books import accounts, keys
from llama_orch.tap.config.record import FILE

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def operator(orch_home: Path, tmp_path: Path) -> Iterator[OperatorTap]:
    made = OperatorTap(orch_home, tmp_path / "tap")
    yield made
    made.end()


def test_it_runs_for_clients_when_it_is_named(install: Orch, operator: OperatorTap, tmp_path: Path) -> None:
    done = install(applet_house.write_wheel(tmp_path / "wheels", "echo"))
    assert done.returncode == 0, done.stderr.decode()
    with operator.found() as book:
        key = keys.add(book, accounts.add(book, "acme").id)[1]
    headers = {"authorization": f"Bearer {key}"}
    file = operator.folder / FILE
    file.write_text(file.read_text().replace("[applets]\n", "[applets]\noffered = ['echo']\n"))
    gateway = operator.serve("--processes", "1")
    listed = gateway.call("GET", "/v1/applets", headers=headers, key=False).json["data"]
    assert [(each["id"], each["most_cost"]) for each in listed] == [("echo", 5_000_000)]
    reply = gateway.call("POST", "/v1/applets/echo", {"text": "hi", "times": 2}, headers, key=False)
    assert (reply.status, reply.json["output"], reply.json["cost"]) == (200, {"said": "hi hi"}, 0), reply.body
