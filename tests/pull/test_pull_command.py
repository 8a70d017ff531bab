# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch pull` as it is typed: what goes to stdout, what to stderr, and with which exit code."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest
from embedding_models import embedding_model
from hub_server import Hub
from pull_home import longer, sha256

import make_gguf

REPO = "Qwen/Qwen3-0.6B-GGUF"
FILE = "Qwen3-0.6B-Q8_0.gguf"
Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def data(hub: Hub, tiny_gguf: Path) -> bytes:
    data = longer(tiny_gguf.read_bytes(), 2_000_000)
    hub.add(REPO, {FILE: data})
    return data


def test_pull_and_ask(run_orch: Orch, data: bytes) -> None:
    done = run_orch("pull", "qwen3:0.6b")
    assert done.returncode == 0, done.stderr
    assert re.search(rb"^id +qwen3:0.6b$", done.stdout, re.MULTILINE)
    assert b"fetching qwen3:0.6b: 2.0 MB from hf://Qwen/Qwen3-0.6B-GGUF@" in done.stderr
    assert b"ask it: orch run -m qwen3:0.6b" in done.stderr
    assert b"\r" not in done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    assert run_orch("run", "-m", "qwen3:0.6b", "-n", "-o", "max_tokens=2", "Hello").returncode == 0
    assert run_orch("models", "pull", "qwen3:0.6b", "-q").stdout == b"qwen3:0.6b\n"


def test_json_has_stable_keys_and_says_what_was_fetched(run_orch: Orch, data: bytes) -> None:
    first, second = (json.loads(run_orch("pull", "qwen3:0.6b", "--json").stdout) for _ in range(2))
    assert first == {
        "id": "qwen3:0.6b",
        "source": first["source"],
        "path": first["path"],
        "size": len(data),
        "digest": sha256(data),
        "licence": "apache-2.0",
        "parts": 1,
        "projector": None,
        "fetched": len(data),
        "present": False,
    }
    assert second == {**first, "fetched": 0, "present": True}


def test_quiet_says_nothing_but_the_name(run_orch: Orch, data: bytes) -> None:
    done = run_orch("pull", "qwen3:0.6b", "-q")
    assert (done.stdout, done.stderr) == (b"qwen3:0.6b\n", b"")


def test_on_a_terminal_there_is_a_bar_with_rate_and_time_left(orch_home: Path, hub: Hub, data: bytes) -> None:
    hub.rate = 600_000
    command = f"{sys.executable} -m llama_orch.cli pull qwen3:0.6b"
    with pexpect.spawn(
        command, dimensions=(24, 120), timeout=60, encoding="utf-8", env={**os.environ, "TERM": "xterm"}
    ) as terminal:
        terminal.expect(r"Qwen3-0.6B-Q8_0.gguf \[#+\.+\] \d+ %  [\d.]+ [kM]B of 2.0 MB  [\d.]+ [kM]B/s  \d+ s left")
        terminal.expect(r"id.*qwen3:0.6b")
        terminal.expect(pexpect.EOF)
        assert "[#" not in terminal.before


def test_dry_run_tells_size_licence_and_fit_and_fetches_nothing(run_orch: Orch, hub: Hub, tiny_gguf: Path) -> None:
    data = tiny_gguf.read_bytes()
    hub.add(REPO, {FILE: data})
    done = run_orch("pull", "--dry-run", "qwen3:0.6b", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["size"] == told["to_fetch"] == len(data)
    assert (told["licence"], told["gated"], told["fits"]) == ("apache-2.0", False, True)
    assert told["estimated_from"] == "header"
    assert told["memory_needed"] > len(data)
    assert told["disk_free"] > 0
    assert told["files"] == [
        {"name": FILE, "role": "weights", "part": 1, "size": len(data), "digest": sha256(data), "state": "fetch",
         "begun": 0}
    ]  # fmt: skip
    assert json.loads(run_orch("models", "ls", "--json").stdout)[1:] == []
    shown = run_orch("pull", "--dry-run", "qwen3:0.6b")
    assert b"it fits on this machine" in shown.stderr


def test_dry_run_of_a_gated_model_says_where_to_accept(run_orch: Orch, hub: Hub, data: bytes) -> None:
    hub.add(REPO, {FILE: data}, gated=True)
    done = run_orch("pull", "--dry-run", "qwen3:0.6b")
    assert done.returncode == 4
    assert b"gated" in done.stdout
    assert f"accept it at {hub.endpoint}/{REPO}".encode() in done.stderr


def test_offline(run_orch: Orch, hub: Hub, data: bytes) -> None:
    refused = run_orch("pull", "--offline", "qwen3:0.6b")
    assert refused.returncode == 3
    assert b"is not on this machine, and nothing may be fetched (offline)" in refused.stderr
    assert run_orch("pull", "qwen3:0.6b").returncode == 0
    hub.seen.clear()
    assert run_orch("pull", "--offline", "qwen3:0.6b", "-q").stdout == b"qwen3:0.6b\n"
    assert run_orch("pull", "qwen3:0.6b", "-q", env={"HF_HUB_OFFLINE": "1"}).stdout == b"qwen3:0.6b\n"
    assert hub.seen == []


def test_offline_does_not_take_another_model_for_it(run_orch: Orch, tiny_gguf: Path, hub: Hub) -> None:
    assert run_orch("models", "link", str(tiny_gguf), "--name", "qwen3:0.6b").returncode == 0
    done = run_orch("pull", "--offline", "qwen3:0.6b")
    assert done.returncode == 1
    assert b"already stands for" in done.stderr


def test_a_model_that_is_not_here_names_the_command_that_fetches_it(run_orch: Orch, hub: Hub) -> None:
    done = run_orch("run", "-m", "qwen3:0.6b", "Hello")
    assert done.returncode == 1
    assert b"hint: orch pull qwen3:0.6b" in done.stderr
    assert hub.seen == []


@pytest.mark.parametrize(
    ("words", "code", "said", "hint"),
    [
        ((), 2, b"orch pull needs a model", b"orch pull --list"),
        (("qwen3",), 1, b"there are qwen3:0.6b, qwen3:1.7b", b"orch pull qwen3:0.6b"),
        (("qwen3:0.7b",), 1, b"qwen3:0.7b is not in the catalogue", b"orch pull qwen3:0.6b"),
        (("nothing-like-it",), 1, b"is not in the catalogue", b"orch pull --list"),
        (("./model.gguf",), 1, b"is a file of this machine", b"orch models link ./model.gguf"),
        (("hf://o/none",), 1, b"no repository o/none", b"HF_TOKEN"),
        (("http://example.org/x.gguf",), 1, b"can be changed on the way", b"--sha256"),
        (("qwen3:0.6b", "--name", "../up"), 1, b"cannot name a model", b"lower-case"),
        (("qwen3:0.6b", "--name", "orch-demo"), 1, b"orch-demo", b"--name"),
        (("qwen3:0.6b", "--retries", "-1"), 2, b"--retries", b"orch"),
    ],
)
def test_errors_with_their_codes(
    run_orch: Orch, hub: Hub, words: tuple[str, ...], code: int, said: bytes, hint: bytes
) -> None:
    done = run_orch("pull", *words)
    assert done.returncode == code
    assert done.stdout == b""
    assert said in done.stderr
    assert hint in done.stderr.partition(b"hint: ")[2]
    assert b"Traceback" not in done.stderr


def test_a_full_disk_is_said_and_what_came_is_kept(orch_home: Path, hub: Hub, data: bytes) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    command = [sys.executable, "-m", "llama_orch.cli", "pull", "qwen3:0.6b"]
    done = subprocess.run(command, capture_output=True, check=False, preexec_fn=limited, timeout=60)
    assert done.returncode == 1
    assert b"is full: what was fetched stays for the next time" in done.stderr
    assert b"make room and run it again" in done.stderr
    assert not list((orch_home / "data" / "models").rglob("sha256-*"))
    assert subprocess.run([*command, "--json"], capture_output=True, check=False, timeout=60).returncode == 0
    assert hub.requests("storage")[-1].start == 1_000_000


def test_no_token_in_anything_that_is_said(run_orch: Orch, hub: Hub, data: bytes, orch_home: Path) -> None:
    canary = "hf_canary_93be"
    hub.fail("storage", status=500, times=9)
    for words in ((), ("--dry-run",), ("--json",)):
        done = run_orch("pull", "qwen3:0.6b", "--retries", "0", *words, env={"HF_TOKEN": canary, "ORCH_DEBUG": "1"})
        assert canary.encode() not in done.stdout + done.stderr
    for path in orch_home.rglob("*"):
        assert not path.is_file() or canary.encode() not in path.read_bytes()


def test_the_list_and_a_catalogue_of_ones_own(run_orch: Orch, hub: Hub, orch_home: Path, data: bytes) -> None:
    own = orch_home / "config" / "catalogue.toml"
    own.parent.mkdir(parents=True)
    own.write_text(
        'version = 1\n[family.house]\nlicence = "proprietary"\n'
        f'[family.house.sizes.small]\nrepository = "{REPO}"\nquantisation = "Q8_0"\n'
    )
    rows = json.loads(run_orch("pull", "--list", "--json").stdout)
    assert rows[0]["id"] == "house:small"
    assert rows[0]["mine"]
    assert len(rows) > 40
    assert run_orch("pull", "house:small", "-q").stdout == b"house:small\n"
    assert json.loads(run_orch("pull", "--list", "--json").stdout)[0]["present"]
    own.write_text("[family.house.sizes.small]\nrepositry = 'x'\n")
    broken = run_orch("pull", "house:small")
    assert broken.returncode == 1
    assert b"catalogue.toml: family.house.sizes.small.repositry: nothing is known by that word" in broken.stderr


def test_what_it_says_next_fits_the_model(run_orch: Orch, hub: Hub, shared_folder: Path) -> None:
    hub.add("o/embed-GGUF", {"embed-F32.gguf": embedding_model(shared_folder, "embed").read_bytes()})
    done = run_orch("pull", "hf://o/embed-GGUF")
    assert done.returncode == 0, done.stderr
    assert b"serve its embeddings: orch serve -m embed" in done.stderr


def test_an_adapter_is_no_model(run_orch: Orch, hub: Hub, orch_home: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter.gguf"
    make_gguf.write_lora(str(adapter), str(tiny_gguf), 4, 0)
    hub.add("o/lora", {"terse-F32.gguf": adapter.read_bytes()})
    for source, name in (("hf://o/lora", "terse-F32.gguf"), (adapter.as_uri(), "adapter.gguf")):
        done = run_orch("pull", source)
        assert done.returncode == 3
        assert f"error: {name} is a LoRA adapter, not a model; nothing was installed" in done.stderr.decode()
        assert b".part" not in done.stderr
        assert list((orch_home / "data/models/partial").glob("*.part")) == []


def test_a_dry_run_fails_where_the_pull_would(run_orch: Orch, hub: Hub, data: bytes, tiny_gguf: Path) -> None:
    assert run_orch("models", "link", str(tiny_gguf), "-n", "qwen3:0.6b").returncode == 0
    dry, wet = run_orch("pull", "--dry-run", "qwen3:0.6b"), run_orch("pull", "qwen3:0.6b")
    assert dry.returncode == wet.returncode == 1
    for done in (dry, wet):
        assert b"qwen3:0.6b already stands for" in done.stderr
        assert b"orch models rm qwen3:0.6b" in done.stderr


def test_the_same_bytes_under_the_same_name_are_here_already(run_orch: Orch, hub: Hub, tiny_gguf: Path) -> None:
    hub.add(REPO, {FILE: tiny_gguf.read_bytes()})
    assert run_orch("models", "link", str(tiny_gguf), "-n", "qwen3:0.6b").returncode == 0
    assert run_orch("pull", "--dry-run", "qwen3:0.6b").returncode == 0
    done = run_orch("pull", "qwen3:0.6b")
    assert done.returncode == 0
    assert b"it was here already: qwen3:0.6b" in done.stderr
    assert hub.bytes_sent() == 0
