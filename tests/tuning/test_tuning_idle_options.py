# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that would do nothing are refused, on every command that takes them; those of a file are told of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from serve_process import serving

from llama_orch.cli.failure import UsageError
from llama_orch.cli.run import idle
from llama_orch_utils import config

Orch = Callable[..., Any]
IDLE: list[tuple[dict[str, Any], str]] = [
    ({"draft_tokens": 4}, "--draft-tokens would do nothing: it is about --draft"),
    ({"rope_scale": 2.0, "rope_scaling": "none"}, "--rope-scale would do nothing"),
    ({"yarn_original_context": 4096, "rope_scaling": "linear"}, "--yarn-original-context would do nothing"),
    ({"tensor_split": "3,1", "split": "none"}, "--tensor-split would do nothing"),
    ({"gpu": "off", "gpus": "0"}, "--gpus would do nothing"),
    ({"gpu": "off", "split": "row"}, "--split would do nothing"),
    ({"gpu": "off", "gpu_layers": 8}, "--gpu-layers would do nothing"),
    ({"gpu_layers": 0, "tensor_split": "3,1"}, "--tensor-split would do nothing"),
]
USED: list[dict[str, Any]] = [
    {"draft": "a.gguf", "draft_tokens": 4},
    {"rope_scale": 2.0},
    {"rope_scale": 2.0, "rope_scaling": "yarn", "yarn_original_context": 4096},
    {"gpu": "off", "gpu_layers": 0},
    {"gpu": "off", "context": 512},
    {"tensor_split": "3,1", "split": "row"},
]


@pytest.mark.parametrize(("flags", "words"), IDLE, ids=lambda value: str(value)[:40])
def test_an_option_that_does_nothing_is_refused(orch_home: Path, flags: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        idle.check(config.load(flags, environ={}, directory=orch_home))
    assert refused.value.hint


@pytest.mark.parametrize("flags", USED, ids=str)
def test_an_option_that_does_something_is_taken(orch_home: Path, flags: dict[str, Any]) -> None:
    idle.check(config.load(flags, environ={}, directory=orch_home))


def test_a_setting_of_the_environment_may_wait(orch_home: Path) -> None:
    """`--gpu off` for once beside ORCH_GPUS."""
    environ = {"ORCH_GPUS": "0,1", "ORCH_SPLIT": "row"}
    idle.check(config.load({"gpu": "off"}, environ=environ, directory=orch_home))
    idle.check(config.load({}, environ=environ, directory=orch_home), elsewhere="public")


@pytest.mark.parametrize("command", [("run", "Hi"), ("run", "--plan"), ("serve",), ("models", "fit")], ids=" ".join)
def test_every_command_refuses_it(run_orch: Orch, command: tuple[str, ...]) -> None:
    done = run_orch(*command, "--draft-tokens", "4")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"--draft-tokens would do nothing: it is about --draft, and there is none" in done.stderr
    assert b"hint: --draft MODEL" in done.stderr


def test_what_is_about_a_worker_here_is_refused_for_a_server_elsewhere(run_orch: Orch) -> None:
    done = run_orch("run", "--target", "http://127.0.0.1:9/v1", "--context", "4096", "Hi")
    assert done.returncode == 2
    assert b"--context is about a worker on this machine" in done.stderr


def test_a_file_that_wishes_for_a_draft_alone_is_told_of(run_orch: Orch) -> None:
    done = run_orch("config", "set", "draft_tokens", "4")
    assert done.returncode == 0
    assert b"does nothing: there is no draft model" in done.stderr
    done = run_orch("run", "Hi", "-o", "max_tokens=2")
    assert done.returncode == 0
    assert b"does nothing: there is no draft model" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("pull", "--list", "qwen3:0.6b"), b"--list shows the catalogue and fetches nothing"),
        (("pull", "--list", "--dry-run"), b"--list shows the catalogue and fetches nothing"),
        (("pull", "qwen3:0.6b", "--sha256", "0" * 64), b"--sha256 is about an https:// or file:// address"),
        (("pull", "hf://a/b", "--sha256", "0" * 64), b"--sha256 is about an https:// or file:// address"),
        (("pull", "file:///a.gguf", "--allow-host", "b"), b"--allow-host is about addresses of the network"),
    ],
    ids=lambda value: value.decode()[:20] if isinstance(value, bytes) else " ".join(value)[:30],
)
def test_pull_says_what_does_not_go_together(run_orch: Orch, words: tuple[str, ...], said: bytes) -> None:
    done = run_orch(*words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("model=x", b"-o model is -m"),
        ("messages=[]", b"-o messages is the question itself"),
        ("stream=false", b"-o stream is --no-stream"),
        ("tools=[]", b"-o tools is --tool"),
        ('response_format={"type":"json_object"}', b"-o response_format is --schema"),
        ("n=3", b"-o n would be thrown away: orch run shows one answer"),
        ("logprobs=true", b"-o logprobs would be thrown away"),
    ],
    ids=lambda value: value.decode()[:20] if isinstance(value, bytes) else value[:12],
)
def test_what_is_no_sampling_option_names_the_one_that_is(run_orch: Orch, option: str, said: bytes) -> None:
    done = run_orch("run", "-o", option, "Hi")
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr


def test_a_key_that_nobody_is_asked_for_is_told_of(orch_home: Path, demo_gguf: Path) -> None:
    with serving("--no-auth", env={"ORCH_API_KEY": "canary-key-0123"}) as served:
        told = served.errors.read_text()
    assert "warning: ORCH_API_KEY is set, and --no-auth asks nobody for it" in told
    assert "canary" not in told


def test_a_tap_says_what_does_not_go_together(run_orch: Orch, orch_home: Path) -> None:
    tap = str(orch_home / "tap")
    assert run_orch("tap", "init", tap).returncode == 0
    for words, said in (
        (("tap", "upstream", "add", "m", "local", "--key-env", "K"), b"--key-env is about a server elsewhere"),
        (("tap", "upstream", "add", "m", "local", "--weight", "3"), b"--weight is about a server elsewhere"),
        (("tap", "upstream", "add", "m", "http://127.0.0.1:9/v1", "--pin"), b"--pin is about a worker here"),
        (("tap", "key", "ls", "acme", "--admin"), b"are of no account"),
        (("tap", "grant", "acme", "--pack", "P", "--priority", "3"), b"a pack has its own priority"),
        (("tap", "grant", "acme", "--pack", "P", "--kind", "purchase"), b"a pack has its own kind"),
        (("tap", "adjust", "--request", "x", "--minus-eur", "1", "--reason", "r"), b"--minus-eur nothing"),
    ):
        done = run_orch(*words, env={"ORCH_TAP_DIR": tap})
        assert (done.returncode, done.stdout) == (2, b""), done.stderr
        assert said in done.stderr, done.stderr
