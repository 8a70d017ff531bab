# SPDX-License-Identifier: GPL-3.0-or-later
"""Adapters and drafts of `orch serve`: a request chooses by number, and one broken model does not stop the others."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest
from embedding_models import embedding_model
from serve_process import Served, serving
from tuned_home import Files

from llama_orch_utils import BadRequest, Client

TERSE, FORMAL = {"id": 0, "scale": 1.0}, {"id": 1, "scale": 1.0}


def said(served: Served, lora: object = None, **fields: Any) -> str:
    body = {"temperature": 0, "max_tokens": 12, **fields} | ({} if lora is None else {"lora": lora})
    status, answer = served.chat("tiny", **body)
    assert status == 200, answer
    return str(answer["choices"][0]["message"]["content"])


def engine_counters(worker: Path) -> dict[str, float]:
    """What the worker counts, by name."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(worker))
        connection.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    return {name: float(value) for name, value in re.findall(r"(?m)^llama_orch_engine_(\w+)_total\S* (\S+)$", text)}


def test_a_request_chooses_its_adapters(orch_home: Path, files: Files) -> None:
    with serving("-m", str(files.model), "--lora", str(files.terse), "--lora", f"{files.formal}=0", key="k") as served:
        answers = [said(served, lora) for lora in ([], [TERSE], [FORMAL], [TERSE, FORMAL])]
        assert len(set(answers)) == 4
        assert said(served) == answers[1]  # the scales of the start
        assert [said(served, lora) for lora in ([], [TERSE], [FORMAL])] == answers[:3]  # and no cells of another's
        status, answer = served.chat("tiny", lora=[{"id": 2, "scale": 1}])
        assert status == 400
        assert answer["error"]["message"] == "There is no adapter 2; loaded are 0 (terse), 1 (formal)."
        for wrong in ("x", [{"id": 0}], [{"id": 0, "scale": "a"}], [{"id": 0, "scale": 1e9}], [{"id": -1, "scale": 1}]):
            assert served.chat("tiny", lora=wrong)[0] == 400, wrong
        with Client(f"{served.url}/v1", key="k", model="tiny") as client:
            found = client.chat("Hi", temperature=0, max_tokens=12, extra={"lora": [FORMAL]})
            assert found.text == answers[2]
            with pytest.raises(BadRequest, match="no adapter 7"):
                client.chat("Hi", max_tokens=12, extra={"lora": [{"id": 7, "scale": 1}]})


def test_a_served_model_without_adapters_says_so(orch_home: Path, files: Files) -> None:
    with serving("-m", str(files.model), "--draft", str(files.model), "--draft-tokens", "3", key="k") as served:
        status, answer = served.chat("tiny", lora=[TERSE])
        assert status == 400
        assert "orch serve --lora FILE" in answer["error"]["message"]
        said(served, max_tokens=60, logit_bias={"509": -100, "511": -100})
        counted = engine_counters(next((orch_home / "run" / "workers").glob("*.sock")))
        assert counted["proposed_tokens"] >= counted["accepted_tokens"]
        assert counted["output_tokens"] == 60


def test_what_is_not_there_is_said_before_anything_is_served(orch_home: Path, run_orch: Any, files: Files) -> None:
    for flag, words in (("--draft", "the draft"), ("--lora", "the LoRA adapter"), ("--projector", "the projector")):
        done = run_orch("serve", "--port", "0", "-m", str(files.model), flag, "nosuch.gguf")
        assert done.returncode == 3
        assert done.stdout == b""
        assert words in done.stderr.decode()
        assert "Traceback" not in done.stderr.decode()


@pytest.mark.parametrize("flag", ["--draft", "--lora"])
def test_one_that_cannot_be_loaded_leaves_the_others(
    orch_home: Path, files: Files, shared_folder: Path, flag: str
) -> None:
    """A draft or an adapter for another model: that model fails in words, the embedder beside it serves."""
    embedder = embedding_model(shared_folder, "embed")
    with serving("-m", str(files.model), "-m", str(embedder), flag, str(files.other), key="k") as served:
        assert served.lines[0].endswith("serves embed")
        warned = served.errors.read_text()
        assert "warning: tiny is not served: " in warned
        assert f"{flag} changes nothing here" in warned
        assert served.ask("POST", "/v1/embeddings", {"model": "embed", "input": "x"})[0] == 200
        status, answer = served.chat("tiny")
        assert status == 503
        assert answer["error"]["message"] == "tiny cannot be loaded"
        assert str(files.other) in served.errors.read_text()
        assert served.end() == 0


def test_a_broken_file_among_several(orch_home: Path, files: Files, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(files.model.read_bytes()[:100_000])
    with serving("-m", str(broken), "-m", str(files.model), key="k") as served:
        assert served.lines[0].endswith("serves tiny")
        assert served.errors.read_text().count("warning: broken is not served: ") == 1
        assert said(served)
        assert served.chat("broken")[0] == 503
