# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client hears of a model that cannot be loaded: its name and the kind of trouble, never where its file lies."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import workers_of
from serve_process import Served, serving, until
from tap_process import start_tap

from llama_orch.models.store import Store
from llama_orch.pool.fleet.outward import outward
from llama_orch.tap import app
from llama_orch.tap.call import Call
from llama_orch_utils.errors import AppletError, BadRequest, ConfigError, EngineFailed, OrchError, TargetTimeout

CANARY = "canary-folder-5f21"
Orch = Callable[..., Any]
TALK = [{"role": "user", "content": "Hi"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": TALK},
    "/v1/chat/completions/input_tokens": {"messages": TALK},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/responses/input_tokens": {"input": "Hi"},
    "/v1/messages": {"messages": TALK, "max_tokens": 4},
    "/v1/messages/count_tokens": {"messages": TALK},
    "/v1/embeddings": {"input": "Hi"},
    "/v1/rerank": {"query": "Hi", "documents": ["a"]},
    "/tokenize": {"content": "Hi"},
    "/detokenize": {"tokens": [70]},
    "/apply-template": {"messages": TALK},
    "/api/chat": {"messages": TALK},
    "/api/generate": {"prompt": "Hi"},
    "/api/embed": {"input": "Hi"},
    "/api/embeddings": {"prompt": "Hi"},
    "/api/show": {},
}
STREAMED = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/api/chat", "/api/generate")
READ = ("/v1/models", "/v1/models/NAME", "/api/tags", "/api/ps", "/metrics", "/health", "/ready", "/openapi.json")


def damaged(path: Path) -> None:
    size = path.stat().st_size
    path.write_bytes(b"no model at all ".ljust(size, b"x"))


def cut(path: Path) -> None:
    """The header is right, and its tensors are not all there."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2].ljust(path.stat().st_size, b"\xff"))


def unreadable(path: Path) -> None:
    path.chmod(0)  # the superuser reads it all the same


def shorter(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


HARMS: dict[str, Callable[[Path], None]] = {
    "damaged": damaged, "cut": cut, "unreadable": unreadable, "shorter": shorter, "gone": Path.unlink,
    "folder": a_folder,
}  # fmt: skip


def silent(raw: bytes | str) -> bool:
    """Whether nothing of the server's places is in it."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    return not any(word in text for word in (CANARY, "/tmp/", ".gguf", os.environ["ORCH_HOME"]))


def asked(served: Served, name: str) -> list[tuple[str, int, bytes, dict[str, str]]]:
    answers: list[tuple[str, int, bytes, dict[str, str]]] = []
    for path, body in BODIES.items():
        streams = (None, True) if path in STREAMED else (None,)
        for stream in streams:
            sent = {"model": name, **body, **({} if stream is None else {"stream": stream})}
            answers.append((path, *served.ask("POST", path, sent)))
    answers.extend((path, *served.ask("GET", path.replace("NAME", name))) for path in READ)
    return answers


def test_no_answer_tells_where_a_model_lies(orch_home: Path, tiny_gguf: Path) -> None:
    folder = orch_home / CANARY
    folder.mkdir()
    files = {name: Path(shutil.copy(tiny_gguf, folder / f"{name}.gguf")) for name in HARMS}
    store = Store()
    for name, path in files.items():
        store.link(path, name)
    for name, path in files.items():
        HARMS[name](path)
    with serving("-m", str(tiny_gguf)) as served:
        for name in HARMS:
            refused = 0
            for path, status, body, headers in asked(served, name):
                assert silent(body), (name, path, body)
                assert not re.search(rb"(?i)(pid|process)\W{0,3}%d\b" % served.process.pid, body), (name, path, body)
                assert silent(json.dumps(headers)), (name, path, headers)
                assert status < 500 or status in (501, 503), (name, path, status, body)
                if status == 503:
                    refused += 1
                    assert name in body.decode(), (name, path, body)
                    assert int(headers["retry-after"]) >= 1
            assert refused >= len(BODIES) or name == "unreadable", (name, refused)
        assert served.chat("tiny")[0] == 200
        told = served.errors.read_text()
        for name in set(HARMS) - {"unreadable"}:
            line = next((line for line in told.splitlines() if f"{name} cannot be loaded" in line), "")
            assert str(files[name]) in line, (name, told)
        assert "Traceback" not in told


def test_no_answer_tells_it_where_memory_is_short(orch_home: Path, tiny_gguf: Path) -> None:
    """The numbers are told."""
    folder = orch_home / CANARY
    folder.mkdir()
    Store().link(Path(shutil.copy(tiny_gguf, folder / "second.gguf")), "second")
    with serving("--pin", str(tiny_gguf), "--memory", "100M", "--context", "512", small=False) as served:
        for path, status, body, headers in asked(served, "second"):
            assert silent(body), (path, body)
            assert silent(json.dumps(headers)), (path, headers)
            assert status in (200, 503), (path, status, body)
        status, answer = served.chat("second")
    assert (status, answer["error"]["code"]) == (503, "out_of_memory")
    assert "MiB" in answer["error"]["message"]


def test_a_tap_says_no_more(orch_home: Path, tiny_gguf: Path) -> None:
    folder = orch_home / CANARY
    folder.mkdir()
    path = Path(shutil.copy(tiny_gguf, folder / "mine.gguf"))
    tap = start_tap(orch_home, [{"name": "mine", "local": str(path), "context": 512, "slots": 1}])
    try:
        assert tap.chat(model="mine").status == 200
        damaged(path)
        for worker in workers_of(orch_home):
            os.kill(worker, signal.SIGKILL)
        until(lambda: not workers_of(orch_home), "they have gone")
        seen: list[str] = []

        def refused() -> bool:
            reply = tap.chat(model="mine")
            assert reply.status == 503
            assert silent(reply.body), reply.body
            assert silent(json.dumps(reply.headers))
            seen.append(reply.error["message"])
            return "cannot be loaded" in seen[-1]

        until(refused, "it is found that the file is none any more")
        for body in ({"stream": True}, {"stream": False}):
            for path_ in ("/v1/messages", "/api/chat", "/v1/responses"):
                reply = tap.call("POST", path_, {"model": "mine", **BODIES[path_], **body})
                assert silent(reply.body), reply.body
        assert CANARY in until(lambda: tap.log if CANARY in tap.log else "", "the operator's log tells")
    finally:
        tap.end(signal.SIGTERM)


def test_whoever_runs_it_here_is_told_all(orch_home: Path, tiny_gguf: Path, run_orch: Orch) -> None:
    folder = orch_home / CANARY
    folder.mkdir()
    path = Path(shutil.copy(tiny_gguf, folder / "mine.gguf"))
    damaged(path)
    done = run_orch("run", "-m", str(path), "Hi")
    assert done.returncode == 3
    assert str(path) in done.stderr.decode()
    done = run_orch("serve", "-m", str(path), "--port", "0")
    assert done.returncode == 3
    assert str(path) in done.stderr.decode()


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (EngineFailed("/home/a/m.gguf is empty.", hint="orch models link /home/a/m.gguf"), False),
        (EngineFailed("m needs about 3.0 GiB of memory; 1.0 GiB can be had", code="out_of_memory"), True),
        (EngineFailed("org/m needs 3.0 GiB of memory", code="out_of_memory", hint="--context 512 fits"), True),
        (EngineFailed("~/m.gguf needs about 3.0 GiB", code="out_of_memory"), False),
        (EngineFailed("C:\\m.gguf needs about 3.0 GiB", code="out_of_memory"), False),
        (EngineFailed("the worker ended while it started", code="worker_died", hint="its log: /run/a.log"), False),
        (EngineFailed("the worker of m ended (killed by SIGSEGV)", code="worker_died", hint="try again"), True),
        (EngineFailed("3 of 8 layers were to go on CUDA0", code="gpu_layers_missing"), False),
        (EngineFailed("org/m is being loaded (3 %)", code="loading"), True),
        (ConfigError("cannot write the log /run/a.log", file="/run/a.log"), False),
        (BadRequest("no such field", param="/a"), True),
        (TargetTimeout("the worker got stuck while loading", phase="load", seconds=120), True),
    ],
    ids=lambda value: value.message[:25] if isinstance(value, OrchError) else "",
)
def test_what_goes_outward(error: OrchError, kept: bool) -> None:
    found = outward(error, "org/m")
    assert (found is error) == kept
    if not kept:
        assert isinstance(found, EngineFailed)
        assert (found.status, found.last_words) == (503, "")
        assert found.retry_after is not None
        assert "/home" not in (found.message + (found.hint or "")).replace("org/m", "")
        assert "/run" not in (found.message + (found.hint or ""))
        assert "m.gguf" not in found.message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConfigError("cannot write the log /run/a.log", file="/run/a.log"), "the server is not set up as it must be"),
        (
            OrchError("/srv/tap.db does not answer: locked", code="ledger_away", status=503),
            "the ledger does not answer",
        ),
        (AppletError(f"applet x failed: OSError: {Path.home()}/x/y.py"), "the applet failed"),
        (AppletError("applet x gave an output that does not fit: /words/0: missing"), None),
        (BadRequest("there is no /srv/model here"), None),
    ],
    ids=lambda value: value.message[:25] if isinstance(value, OrchError) else "",
)
def test_what_ails_the_server_is_for_its_log(error: OrchError, words: str | None) -> None:
    async def told(path: str) -> OrchError:
        return app._outward(Call({"type": "http", "path": path, "headers": []}, _never, _never), error)

    found = asyncio.run(told("/v1/models"))
    assert found.message == (words or error.message)
    assert (found.status, found.code) == (error.status, error.code)


async def _never(*_: Any) -> Any:
    raise AssertionError
