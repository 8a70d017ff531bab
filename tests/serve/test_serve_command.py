# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch serve` as a command: what it prints, what it refuses, how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import workers_of
from serve_process import COMMAND, SMALL, serving, until

CANARY = "canary-0123456789-canary"
Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]


def test_one_ready_line_and_the_lines_to_paste(orch_home: Path) -> None:
    with serving() as served:
        ready, base, key = served.lines
        assert ready == f"ready: {served.url} serves orch-demo"
        assert base == f"export OPENAI_BASE_URL={served.url}/v1"
        assert key == f"export OPENAI_API_KEY={served.key}"
        assert served.url.startswith("http://127.0.0.1:")
        status, answer = served.chat("orch-demo")
        assert (status, answer["model"]) == (200, "orch-demo")
        assert served.ask("GET", "/v1/models", headers={"authorization": "Bearer wrong"})[0] == 401
        assert served.end() == 0
        assert served.process.stdout is not None
        assert served.process.stdout.read() == b""
    assert workers_of(orch_home) == []
    assert list((orch_home / "run" / "workers").iterdir()) == []


def test_a_shell_can_paste_the_lines(orch_home: Path) -> None:
    script = 'eval "$PASTED"; printf "%s %s" "$OPENAI_BASE_URL" "$OPENAI_API_KEY"'
    with serving() as served, serving(key=CANARY) as keyed:
        for each in (served, keyed):
            env = os.environ | {"PASTED": "\n".join(each.lines[1:]), "ORCH_API_KEY": CANARY}
            said = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True, check=True).stdout
            assert said == f"{each.url}/v1 {each.key or CANARY}"


def test_the_generated_key_is_kept_and_private(orch_home: Path) -> None:
    with serving() as served:
        first = served.key
    path = orch_home / "config" / "serve.key"
    assert path.read_text().strip() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first or "") > 40
    with serving() as served:
        assert served.key == first
        assert served.chat("orch-demo")[0] == 200


def test_a_key_of_the_environment_is_used_and_never_shown(orch_home: Path) -> None:
    with serving(key=CANARY) as served:
        assert served.lines[2] == 'export OPENAI_API_KEY="$ORCH_API_KEY"'
        assert served.chat("orch-demo")[0] == 200
        for wrong in ("nope", CANARY + "x", CANARY[:-1], ""):
            headers = {"authorization": f"Bearer {wrong}"}
            status, answer, _ = served.ask("GET", "/v1/models", headers=headers)
            assert status == 401
            assert CANARY.encode() not in answer
        served.end()
        assert CANARY not in served.errors.read_text()
    assert not (orch_home / "config" / "serve.key").exists()
    for path in orch_home.rglob("*"):
        assert not (path.is_file() and CANARY.encode() in path.read_bytes()), path


def test_without_a_key_on_this_machine(orch_home: Path) -> None:
    with serving("--no-auth") as served:
        assert served.lines[2] == "export OPENAI_API_KEY=none"
        assert served.chat("orch-demo")[0] == 200
        assert "security" not in json.loads(served.ask("GET", "/openapi.json")[1])
    assert not (orch_home / "config" / "serve.key").exists()


def test_json(orch_home: Path) -> None:
    with serving("--json", ready_lines=1) as served:
        told = json.loads(served.lines[0])
        assert told["base_url"] == told["url"] + "/v1"
        assert told["models"] == ["orch-demo"]
        assert told["key_from"] == "generated"
        assert Path(told["key_file"]).read_text().strip() == told["api_key"]
        assert told["pid"] == served.process.pid
    with serving("--json", key=CANARY, ready_lines=1) as served:
        assert CANARY not in served.lines[0]
        assert json.loads(served.lines[0])["key_from"] == "environment"


def test_several_models_and_any_installed_one(orch_home: Path, tiny_gguf: Path, run_orch: Orch) -> None:
    assert run_orch("models", "link", str(tiny_gguf), "--name", "tiny:1b").returncode == 0
    mine = orch_home / "Mine.gguf"
    shutil.copy(tiny_gguf, mine)
    with serving("-m", "orch-demo", "-m", str(mine)) as served:
        assert served.lines[0].endswith("serves orch-demo, mine")
        assert served.chat(None)[1]["model"] == "orch-demo"
        for name in ("mine", "tiny:1b", "orch-demo"):
            status, answer = served.chat(name)
            assert (status, answer["model"]) == (200, name)
        status, answer = served.chat("tiny:2b")
        assert (status, answer["error"]["code"]) == (404, "model_not_found")
        assert answer["error"]["near_misses"] == ["tiny:1b"]
        models = json.loads(served.ask("GET", "/v1/models")[1])
        assert [each["id"] for each in models["data"]] == ["orch-demo", "mine", "tiny:1b"]
        assert served.ask("GET", f"/v1/models/{mine}")[0] == 404
        assert served.chat(str(mine))[0] == 404  # a name of a client's never becomes a path


def test_the_default_model_is_the_users(orch_home: Path, tiny_gguf: Path, run_orch: Orch) -> None:
    run_orch("models", "link", str(tiny_gguf), "--name", "tiny")
    with serving(env={"ORCH_MODEL": "tiny"}) as served:
        assert served.lines[0].endswith("serves tiny")


def test_slots_are_as_many_as_memory_allows(orch_home: Path, tiny_gguf: Path) -> None:
    # A context of 256: 32 streams of it fit anywhere. Under a tight limit there are fewer, and the limit holds.
    with serving("-m", str(tiny_gguf), "--context", "256", small=False) as served:
        assert b'llama_orch_model_loaded{gen_ai_request_model="tiny"} 1.0' in served.ask("GET", "/metrics")[1]
        workers = json.loads(subprocess.check_output([*COMMAND[:-1], "ps", "--json"]))
        assert [each["slots"] for each in workers] == [32]
    with serving("-m", str(tiny_gguf), "--context", "4096", "--memory", "110M", small=False) as served:
        (worker,) = json.loads(subprocess.check_output([*COMMAND[:-1], "ps", "--json"]))
        assert 1 <= worker["slots"] < 32


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("-m", "orch-dema"), 1, "did you mean orch-demo?"),
        (("-m", "/nowhere/model.gguf"), 1, "/nowhere/model.gguf"),
        (("--host", "0.0.0.0"), 1, "ORCH_API_KEY"),
        (("--host", "0.0.0.0", "--no-auth"), 1, "no key"),
        (("--host", "203.0.113.7"), 1, "203.0.113.7"),
        (("--host", "no.such.host.invalid"), 1, "no.such.host.invalid"),
        (("--port", "70000"), 2, "--port"),
        (("--slots", "0"), 2, "--slots"),
        (("--memory", "lots"), 2, "--memory"),
        (("--memory", "2M"), 3, "needs about"),
        (("--keep-alive", "soon"), 2, "--keep-alive"),
        (("--grace", "soon"), 2, "--grace"),
        (("--key", CANARY), 2, "ORCH_API_KEY"),
        (("--cert", "/nowhere.pem", "--key", "/nowhere.key"), 1, "/nowhere.pem"),
        (("--sloots", "1"), 2, "--slots"),
        (("extra",), 2, "extra"),
    ],
)
def test_what_cannot_be_served_is_refused_in_words(
    run_orch: Orch, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = run_orch("serve", "--port", "0", *arguments)
    words = done.stderr.decode()
    assert done.returncode == code, words
    assert said in words
    assert "error:" in words
    assert "hint:" in words
    assert "Traceback" not in words
    assert CANARY not in words
    assert done.stdout == b""


def test_a_port_that_is_taken(run_orch: Orch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = run_orch("serve", "--port", port)
    assert done.returncode == 1
    assert port in done.stderr.decode()
    assert "--port 0" in done.stderr.decode()


def test_a_model_that_cannot_be_loaded(run_orch: Orch, orch_home: Path, tiny_gguf: Path) -> None:
    broken = orch_home / "broken.gguf"
    broken.write_bytes(tiny_gguf.read_bytes()[:100_000])
    done = run_orch("serve", "--port", "0", "-m", str(broken), *SMALL)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr.decode()
    assert done.stdout == b""
    assert workers_of(orch_home) == []


def test_two_files_of_the_same_name(run_orch: Orch, orch_home: Path, tiny_gguf: Path) -> None:
    (orch_home / "other").mkdir()
    shutil.copy(tiny_gguf, orch_home / "other" / "tiny.gguf")
    done = run_orch("serve", "--port", "0", "-m", str(tiny_gguf), "-m", str(orch_home / "other" / "tiny.gguf"))
    assert done.returncode == 2
    assert "orch models link" in done.stderr.decode()


def test_a_key_file_that_others_can_read(run_orch: Orch, orch_home: Path) -> None:
    path = orch_home / "config" / "serve.key"
    path.parent.mkdir(mode=0o700)
    path.write_text(CANARY)
    path.chmod(0o644)
    done = run_orch("serve", "--port", "0")
    assert done.returncode == 1
    assert "chmod 600" in done.stderr.decode()
    path.chmod(0o600)
    path.write_text("two words\n")
    assert "holds no key" in run_orch("serve", "--port", "0").stderr.decode()


def test_without_the_engine_it_says_what_to_install(orch_home: Path) -> None:
    script = """
import importlib.util, sys
real, hidden = importlib.util.find_spec, sys.argv[1]
importlib.util.find_spec = lambda name, package=None: None if name == hidden else real(name, package)
from llama_orch.cli.main import main
sys.argv[1:] = ["serve"]
sys.exit(main())
"""
    for name in ("llama_cpp", "uvloop"):
        command = [COMMAND[0], "-c", script, name]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1
        assert name in done.stderr
        assert "pip install 'llama-orch[local]'" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_ends_and_takes_its_workers_along(orch_home: Path, number: signal.Signals) -> None:
    with serving() as served:
        assert len(workers_of(orch_home)) == 1
        assert served.end(number) == 0
        assert workers_of(orch_home) == []
        assert "Traceback" not in served.errors.read_text()


def test_killed_it_leaves_nothing_in_the_way(orch_home: Path) -> None:
    with serving() as served:
        port = served.url.rpartition(":")[2]
        served.end(signal.SIGKILL)
    with serving("--port", port) as again:
        assert again.url.endswith(f":{port}")
        assert again.chat("orch-demo")[0] == 200
        until(lambda: len(workers_of(orch_home)) == 1, "the old worker has gone")


def test_a_reader_that_goes_away_does_not_end_it(orch_home: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([*COMMAND, "--no-auth", "--port", str(port), *SMALL], stdout=writing)
    os.close(writing)

    def serves() -> bool:
        with socket.socket() as client:
            client.settimeout(2)
            if client.connect_ex(("127.0.0.1", port)):
                return False
            client.sendall(b"GET /ready HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
            return client.recv(100).startswith(b"HTTP/1.1 200")

    until(serves, "it serves")
    process.terminate()
    assert process.wait(60) == 0
