# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch models fit`, `orch run --plan`, the flags that place a model, and `orch ps`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fit_models
import pytest

from llama_orch.cli.fit.keys import KEYS

Orch = Callable[..., Any]


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """17 GB of weights that are not there."""
    return fit_models.write(tmp_path, "qwen3-30b-a3b")


def test_the_plan_of_the_default_model(run_orch: Orch) -> None:
    done = run_orch("run", "--plan")
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines()[0].split() == [
        "WHERE", "LAYERS", "WEIGHTS", "CACHE", "COMPUTE", "NEED", "FREE", "FITS",
    ]  # fmt: skip
    assert b"orch-demo fits: 512 tokens for each of 4 slots" in done.stderr
    record = json.loads(run_orch("run", "--plan", "--json").stdout)
    assert set(record) == set(KEYS)
    assert (record["model"], record["fits"], record["where"]) == ("orch-demo", True, "CPU")


def test_the_plan_counts_what_is_asked_for(run_orch: Orch, big: Path) -> None:
    def record(*options: str) -> dict[str, Any]:
        done = run_orch("run", "--plan", "--json", "-m", str(big), "--slots", "1", *options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    plain, long, small = (
        record("--context", "8192"),
        record("--context", "32768"),
        record("--context", "32768", "--cache-type-k", "q8_0", "--cache-type-v", "q8_0"),
    )
    per_token = 48 * 2 * 4 * 128 * 2
    assert plain["memory"]["cache"] == 8192 * per_token
    assert long["memory"]["cache"] == 4 * plain["memory"]["cache"]
    assert small["memory"]["cache"] == long["memory"]["cache"] * 34 // 64
    assert plain["memory"]["mapped"] + plain["memory"]["weights"] > 16 * 10**9
    assert plain["fits"] == (plain["need"] - plain["memory"]["process"] <= plain["free"])


def test_fit_lists_every_model(run_orch: Orch, tiny_gguf: Path, orch_home: Path) -> None:
    assert run_orch("models", "link", str(tiny_gguf), "-n", "mine").returncode == 0
    done = run_orch("models", "fit", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["model"] for row in rows] == ["orch-demo", "mine"]
    assert all(set(row) == set(KEYS) and row["fits"] for row in rows)
    assert rows[1]["most_context"] == 4096
    table = run_orch("models", "fit", "mine", "--context", "1024").stdout.decode()
    assert "mine" in table
    assert "1024" in table


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--gpus", "0,x"), "--gpus must be numbers of GPUs"),
        (("--gpus", "1,1"), "each once"),
        (("--tensor-split", "0,0"), "--tensor-split must be a share for each GPU"),
        (("--gpu", "requires"), "did you mean 'require'?"),
        (("--cache-type-k", "q8"), "--cache-type-k is one of"),
        (("--gpus", "5"), "there is no GPU 5"),
        (("--lora", "a,b.gguf"), "no path with a comma"),
        (("--lora", "/nonexistent.gguf"), "the LoRA adapter /nonexistent.gguf is not there"),
        (("--draft", "/nonexistent.gguf"), "the draft: cannot use the model file /nonexistent.gguf"),
        (("--target", "https://tap.example/v1"), "--plan is about this machine"),
    ],
)
def test_what_cannot_be_is_refused_in_words(run_orch: Orch, options: tuple[str, ...], words: str) -> None:
    done = run_orch("run", "--plan", *options)
    assert done.returncode != 0
    assert words in done.stderr.decode()
    assert b"hint: " in done.stderr
    assert b"Traceback" not in done.stderr


def test_require_fails_the_run_where_there_is_no_gpu(run_orch: Orch, tiny_gguf: Path) -> None:
    done = run_orch("run", "-m", str(tiny_gguf), "--gpu", "require", "Hi")
    assert done.returncode == 3
    assert b"a GPU is required" in done.stderr
    assert b"--gpu off" in done.stderr


def test_ps_tells_layers_and_devices_and_settings_make_another_worker(run_orch: Orch, tiny_gguf: Path) -> None:
    def ask(*options: str) -> None:
        done = run_orch("run", "-m", str(tiny_gguf), "-o", "max_tokens=1", *options, "Hi")
        assert done.returncode == 0, done.stderr

    ask("--context", "512")
    ask("--context", "512", "--gpu", "off")
    ask("--cache-type-k", "q8_0", "--context", "512")
    ask("--context", "512")
    rows = json.loads(run_orch("ps", "--json").stdout)
    assert len(rows) == 2, "another cache is another worker; one without a GPU serves who wants none"
    for row in rows:
        assert (row["layers_gpu"], row["layers_total"], row["devices"]) == (0, 3, ["CPU"])
        assert row["memory"]["CPU"] > 10**6
    assert b"CPU" in run_orch("ps").stdout
    run_orch("stop", "--all")
