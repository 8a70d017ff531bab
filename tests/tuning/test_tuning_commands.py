# SPDX-License-Identifier: GPL-3.0-or-later
"""Adapters, drafts and cache types by `orch run`, `orch run --plan` and `orch models fit`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import workers_of
from tuned_home import Files

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
ASK = ("-o", "temperature=0", "-o", "max_tokens=12", "--context", "256", "--slots", "1", "Hello")


@pytest.fixture
def linked(run_orch: Orch, files: Files) -> Orch:
    """`orch` in a home that knows the model by name."""
    assert run_orch("models", "link", str(files.model), "-n", "tiny:1m").returncode == 0
    return run_orch


def said(orch: Orch, *arguments: str) -> str:
    done = orch("run", "-m", "tiny:1m", *arguments, *ASK)
    assert done.returncode == 0, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done.stdout.decode(errors="replace")


def listed(orch: Orch) -> list[dict[str, Any]]:
    return json.loads(orch("ps", "--json").stdout)


def test_a_draft_by_name_and_by_path_is_one_worker_and_changes_nothing(linked: Orch, files: Files) -> None:
    plain = said(linked)
    assert said(linked, "--draft", "tiny:1m") == plain
    assert said(linked, "--draft", str(files.model), "--draft-tokens", "4") == plain
    drafted = [each["draft"] for each in listed(linked) if each["draft"]]
    assert set(drafted) == {os.path.realpath(files.model)}


def test_an_adapter_makes_another_worker_and_another_answer(linked: Orch, files: Files) -> None:
    answers = {
        said(linked),
        said(linked, "--lora", str(files.terse)),
        said(linked, "--lora", str(files.terse), "--lora", f"{files.formal}=0.5"),
    }
    assert len(answers) == 3
    loras = [each["loras"] for each in listed(linked)]
    assert [[str(files.terse), 1.0], [str(files.formal), 0.5]] in loras


def test_cache_types_by_flag_and_by_setting(linked: Orch) -> None:
    assert said(linked, "--cache-type-k", "q8_0", "--cache-type-v", "q8_0")
    assert linked("config", "set", "cache_type_k", "q8_0").returncode == 0
    assert linked("config", "set", "cache_type_v", "q8_0").returncode == 0
    assert said(linked)
    assert [(each["cache_type_k"], each["cache_type_v"]) for each in listed(linked)] == [("q8_0", "q8_0")]
    done = linked("run", "-m", "tiny:1m", "--flash-attention", "off", *ASK)
    assert done.returncode == 3
    assert b"flash attention" in done.stderr.lower()


REFUSED = {
    "no draft": (("--draft", "nosuch.gguf"), "the draft: cannot use the model file nosuch.gguf", "check the path"),
    "a draft of the catalogue": (("--draft", "qwen3:0.6b"), "there is no model 'qwen3:0.6b'", "orch pull qwen3:0.6b"),
    "a near miss": (("--draft", "tiny:1"), "there is no model 'tiny:1'", "did you mean tiny:1m?"),
    "another vocabulary": (("--draft", "{other}"), "another vocabulary", "leave --draft away"),
    "an adapter as draft": (("--draft", "{terse}"), "The draft model", "leave --draft away"),
    "no adapter": (("--lora", "nosuch.gguf"), "the LoRA adapter nosuch.gguf is not there", "--lora FILE"),
    "a folder": (("--lora", "/"), "the LoRA adapter / is a folder", "--lora FILE"),
    "a scale in words": (("--lora", "{terse}=much"), "is not there", "--lora FILE=0.5"),
    "a model as adapter": (("--lora", "{other}"), "is no LoRA adapter", "convert_lora_to_gguf.py"),
    "no projector": (("--projector", "nosuch.gguf"), "the projector nosuch.gguf is not there", "--projector FILE"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_said_once(linked: Orch, files: Files, orch_home: Path, case: str) -> None:
    arguments, words, hint = REFUSED[case]
    names = {"other": str(files.other), "terse": str(files.terse)}
    done = linked("run", "-m", "tiny:1m", *(each.format(**names) for each in arguments), *ASK)
    error = done.stderr.decode()
    assert done.returncode == 3, error
    assert error.count(words) == 1, error
    assert hint in error
    assert "Traceback" not in error
    assert done.stdout == b""
    assert workers_of(orch_home) == []


def test_an_adapter_is_not_taken_for_a_model(linked: Orch, files: Files, orch_home: Path) -> None:
    shown = json.loads(linked("models", "show", "--json", str(files.terse)).stdout)
    assert shown["capabilities"] == []
    done = linked("run", "-m", str(files.terse), *ASK)
    assert done.returncode == 3
    assert f"{files.terse} is a LoRA adapter, not a model".encode() in done.stderr
    assert b"orch run -m MODEL --lora" in done.stderr


def test_wishes_for_gpus_that_are_not_there_are_not_passed_over(linked: Orch) -> None:
    """On a machine with GPUs the same words find them; this room's machine may have none or some."""
    if json.loads(linked("run", "--plan", "--json", "-m", "tiny:1m").stdout)["places"][1:]:
        assert said(linked, "--gpu-layers", "2")
        return
    done = linked("run", "-m", "tiny:1m", "--gpu-layers", "2", *ASK)
    assert done.returncode == 0
    assert b"there is no GPU that llama.cpp can use" in done.stderr
    done = linked("run", "-m", "tiny:1m", "--tensor-split", "1,1", *ASK)
    assert done.returncode == 3
    assert b"hint: leave --tensor-split away" in done.stderr
    done = linked("run", "--plan", "-m", "tiny:1m", "--gpu", "require")
    assert b"does not fit: --gpu require, and there is no GPU" in done.stderr


def test_the_plan_counts_the_draft_and_the_adapters(linked: Orch, files: Files) -> None:
    def need(*arguments: str) -> dict[str, Any]:
        return json.loads(linked("run", "--plan", "--json", "-m", "tiny:1m", *arguments).stdout)

    plain, drafted = need(), need("--draft", "tiny:1m")
    assert plain["memory"]["draft"] == 0
    assert drafted["need"] - plain["need"] >= drafted["memory"]["draft"] > files.model.stat().st_size // 2
    assert need("--draft", str(files.model))["memory"] == drafted["memory"]
    adapted = need("--lora", str(files.terse), "--lora", f"{files.formal}=0")
    assert adapted["memory"]["projector"] == files.terse.stat().st_size + files.formal.stat().st_size
    table = linked("run", "--plan", "-m", "tiny:1m", "--draft", "tiny:1m").stdout.decode()
    assert "DRAFT" in table
    fit = json.loads(linked("models", "fit", "--json", "tiny:1m", "--draft", "tiny:1m").stdout)
    assert fit[0]["memory"] == drafted["memory"]
    for words in (("run", "--plan", "-m", "tiny:1m"), ("models", "fit", "tiny:1m")):
        done = linked(*words, "--draft", "nosuch")
        assert done.returncode == 3
        assert b"the draft: there is no model 'nosuch'" in done.stderr
