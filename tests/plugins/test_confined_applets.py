# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installed applet's process can reach, and what becomes of one that misbehaves."""

from __future__ import annotations

import os
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llama_orch.applets import grants, lock
from llama_orch.applets.confined import Confined
from llama_orch_utils import Client
from llama_orch_utils.applets import Files
from llama_orch_utils.errors import AppletError, NotAuthorised, OrchError
from llama_orch_utils.testing import FakeTap, Script

KEY = "key-of-the-tap-that-nobody-may-see"


@pytest.fixture
def probe(probe_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Confined]:
    monkeypatch.setenv("ORCH_HOME", str(probe_home))
    monkeypatch.setenv("CANARY_TOKEN", "canary-of-the-environment")
    found = Confined(lock.find("probe"), seconds=20)
    yield found
    found.close()


@pytest.fixture
def asked() -> Iterator[tuple[FakeTap, Client]]:
    with FakeTap(key=KEY) as tap, Client(tap.url, key=KEY) as client:
        yield tap, client


def test_this_machine_enforces_both_permissions_and_says_so():
    found = grants.enforced()
    assert found.files, "these tests stand on Landlock: Linux 5.13 or later"
    assert found.network, "and on its ABI 4: Linux 6.7 or later"
    assert "enforced" in found.words


def test_the_target_is_reached_and_the_key_stays_outside(probe, asked):
    tap, client = asked
    tap.script(Script(("From ", "the target.")))
    assert probe.invoke({"do": "ask", "what": "Hi"}, client=client).output == {"said": "From the target."}
    assert tap.asked[0].headers["authorization"] == f"Bearer {KEY}"
    seen = probe.invoke({"do": "env"}, client=client).output["said"]
    seen += probe.invoke({"do": "read", "what": "/proc/self/environ"}, client=client).output["said"]
    assert KEY not in seen
    assert "canary" not in seen
    assert tap.url not in seen


def test_a_key_that_the_target_refuses_is_the_callers_error(probe):
    with (
        FakeTap(key="another-key-than-the-one-given") as tap,
        Client(tap.url, key=KEY) as client,
        pytest.raises(OrchError) as caught,
    ):
        probe.invoke({"do": "ask", "what": "Hi"}, client=client)
    assert caught.value.status == NotAuthorised.status
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("folder", ["", "home", "state", "parent"])
def test_files_that_were_not_given_cannot_be_read(probe, asked, tmp_path, probe_home, folder):
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    what = {
        "": ("read", str(secret)),
        "home": ("list", str(Path.home())),
        "state": ("read", str(probe_home / "data" / "applets" / "applets.lock")),
        "parent": ("read", f"/proc/{os.getpid()}/environ"),
    }[folder]
    said = probe.invoke({"do": what[0], "what": what[1]}, client=asked[1]).output["said"]
    assert said.startswith("refused: PermissionError")


def test_a_declared_folder_is_read_and_a_link_out_of_it_is_not(probe, asked, tmp_path):
    given, outside = tmp_path / "given", tmp_path / "outside.txt"
    given.mkdir()
    outside.write_text("outside")
    (given / "a.txt").write_text("inside")
    (given / "link.txt").symlink_to(outside)
    files = Files([given])
    call = lambda do, what: probe.invoke({"do": do, "what": str(what)}, client=asked[1], files=files).output["said"]  # noqa: E731
    assert call("read", given / "a.txt") == "inside"
    assert call("read", given / "link.txt").startswith("refused: PermissionError")
    assert call("read", given / ".." / "outside.txt").startswith("refused: PermissionError")
    assert call("write", given / "new.txt").startswith("refused: PermissionError")
    assert not (given / "new.txt").exists()


def test_outputs_are_written_and_nothing_else(probe, asked, tmp_path):
    reads, writes = tmp_path / "in", tmp_path / "out"
    reads.mkdir()
    writes.mkdir()
    (reads / "a.txt").write_text("content")
    files = Files([reads], [writes])
    probe.invoke({"do": "copy", "what": f"{reads}/a.txt|{writes}/b.txt"}, client=asked[1], files=files)
    assert (writes / "b.txt").read_text() == "content"
    with pytest.raises(AppletError, match="may not write"):
        probe.invoke({"do": "copy", "what": f"{reads}/a.txt|{tmp_path}/c.txt"}, client=asked[1], files=files)
    assert not (tmp_path / "c.txt").exists()


def test_no_network_but_the_target(probe, asked):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for do, what in (
            ("connect", f"127.0.0.1:{port}"), ("connect6", str(port)), ("udp", str(port)), ("listen", ""),
            ("raw", ""), ("sctp", ""), ("netlink", ""),
        ):  # fmt: skip
            said = probe.invoke({"do": do, "what": what}, client=asked[1]).output["said"]
            assert said.startswith("refused: PermissionError"), (do, said)
        said = probe.invoke({"do": "connect", "what": f"127.0.0.1:{asked[0].port}"}, client=asked[1]).output["said"]
    assert said.startswith("refused"), "the target itself is reached through the relay only"


def test_children_are_as_confined_and_other_processes_cannot_be_signalled(probe, asked, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    with pytest.raises(AppletError, match="CalledProcessError"):
        probe.invoke({"do": "run", "what": f"cat {secret}"}, client=asked[1])
    said = probe.invoke({"do": "kill", "what": str(os.getpid())}, client=asked[1]).output["said"]
    assert said.startswith("refused: PermissionError")


def test_the_relay_opens_to_nobody_else(probe, asked):
    import httpx

    probe.invoke({"do": "say", "what": "hi"}, client=asked[1])
    relay = probe._door()
    assert httpx.get(f"{relay.url}/models").status_code == 403
    key = {"authorization": f"Bearer {relay.word(asked[1])}"}
    base = f"http://127.0.0.1:{relay.port}"
    for path in ("/admin", "/v1", "/v1x", "/v1/keys", "/v1/credits", "/v1/models/../keys", "/v1/models/%2e%2e/keys"):
        assert httpx.get(base + path, headers=key).status_code in {403, 404}, path
    assert httpx.post(f"{base}/v1/keys", headers=key).status_code == 403, "the key could make keys: the applet cannot"
    assert httpx.delete(f"{base}/v1/models", headers=key).status_code == 501
    assert httpx.get(f"{base}/v1/models", headers=key).status_code == 200


def test_one_that_prints_does_not_disturb(probe, asked):
    assert probe.invoke({"do": "print", "what": "{not json"}, client=asked[1]).output == {"said": "printed"}
    assert probe.invoke({"do": "say", "what": "still here"}, client=asked[1]).output == {"said": "still here"}


def test_one_that_dies_is_an_error_and_comes_back(probe, asked):
    with pytest.raises(AppletError, match="the process of applet probe ended"):
        probe.invoke({"do": "die"}, client=asked[1])
    assert probe.invoke({"do": "say", "what": "again"}, client=asked[1]).output == {"said": "again"}


def test_one_that_hangs_is_ended(probe_home, asked, monkeypatch):
    monkeypatch.setenv("ORCH_HOME", str(probe_home))
    impatient = Confined(lock.find("probe"), seconds=1.0)
    began = time.monotonic()
    with pytest.raises(AppletError, match="gave no answer within 1 s, and was ended"):
        impatient.invoke({"do": "hang"}, client=asked[1])
    assert time.monotonic() - began < 15
    impatient.close()


def test_one_that_never_asked_for_files_is_given_none(probe_home, asked, monkeypatch, tmp_path):
    from dataclasses import replace

    monkeypatch.setenv("ORCH_HOME", str(probe_home))
    record = lock.find("probe")
    modest = Confined(replace(record, manifest=record.manifest.partition("[permissions]")[0]))
    with pytest.raises(AppletError, match="did not ask to read files"):
        modest.invoke({"do": "say"}, client=asked[1], files=Files([tmp_path]))
    modest.close()


def test_start_and_overhead(probe, asked):
    began = time.perf_counter()
    probe.invoke({"do": "say", "what": "x"}, client=asked[1])
    first = time.perf_counter() - began
    times: list[float] = []
    for _ in range(50):
        began = time.perf_counter()
        probe.invoke({"do": "say", "what": "x"}, client=asked[1])
        times.append(time.perf_counter() - began)
    print(f"first start {first * 1000:.0f} ms, warm call {statistics.median(times) * 1000:.2f} ms")
    assert statistics.median(times) < 0.020
    assert first < 10, "1 s on a quiet machine; here others run beside"


def test_many_at_once(probe, asked):
    said: list[str] = []

    def ask(number: int) -> None:
        said.append(probe.invoke({"do": "say", "what": str(number)}, client=asked[1]).output["said"])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert sorted(map(int, said)) == list(range(12))


def test_doors_of_many_callers_are_few_and_none_is_closed_during_a_run():
    from llama_orch.applets import relay as relays

    relay = relays.Relay()
    with FakeTap() as tap:
        busy = Client(tap.url)
        word = relay.word(busy)
        for _ in range(3 * relays._MOST_DOORS):
            relay.leave(relay.word(Client(tap.url)))
        assert len(relay._doors) <= relays._MOST_DOORS
        assert relay.word(busy) == word
    relay.close()
