# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /metrics`: what is counted, by whom it can be read, and that no client can add a series."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from serve_process import Served, serving, until

from llama_orch.tap import routes
from llama_orch.tap.metrics import Metrics
from llama_orch.tap.metrics.labels import MOST_MODELS, MOST_OUTCOMES
from llama_orch.wire.receipt import Receipt

CHAT = next(route for route in routes.ROUTES if route.path == "/v1/chat/completions")
OLLAMA = next(route for route in routes.ROUTES if route.path == "/api/chat")
COUNT = next(route for route in routes.ROUTES if route.job == "count")


@pytest.fixture
def served(orch_home: Path, tiny_gguf: Path) -> Iterator[Served]:
    with serving("-m", str(tiny_gguf)) as running:
        yield running


def values(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(served: Served, name: str, **labels: str) -> float:
    """The sum over all series of that name that have these labels."""
    status, body, headers = served.ask("GET", "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    found = values(body.decode())
    return sum(
        each for (called, told), each in found.items() if called == name and labels.items() <= dict(told).items()
    )


def test_requests_are_counted_by_the_conventions(served: Served) -> None:
    for _ in range(3):
        long = [{"role": "user", "content": "the same long question " * 8}]
        status, answer = served.chat("tiny", messages=long, max_tokens=8, logit_bias={"509": -100, "511": -100})
        assert status == 200
        assert answer["usage"]["completion_tokens"] == 8
    prompt = answer["usage"]["prompt_tokens"]
    usage = "gen_ai_client_token_usage_total"
    assert value(served, usage, gen_ai_token_type="output", gen_ai_request_model="tiny") == 24
    assert value(served, usage, gen_ai_token_type="input") == 3 * prompt
    assert 0 < value(served, usage, gen_ai_token_type="cached") <= 2 * prompt
    labels = {"gen_ai_operation_name": "chat", "dialect": "chat_completions", "gen_ai_request_model": "tiny"}
    assert value(served, "gen_ai_server_request_duration_seconds_count", outcome="length", **labels) == 3
    assert value(served, "gen_ai_server_time_to_first_token_seconds_count", **labels) == 3
    assert value(served, "llama_orch_queue_seconds_count", **labels) == 3
    assert value(served, "llama_orch_models_loaded") == 1
    assert value(served, "llama_orch_model_loaded", gen_ai_request_model="tiny") == 1
    assert value(served, "llama_orch_queue_depth", gen_ai_request_model="tiny") == 0
    assert value(served, "llama_orch_model_memory_bytes") > 2**20
    assert value(served, "process_resident_memory_bytes") > 2**20


def test_refusals_are_counted_and_need_the_key(served: Served) -> None:
    assert served.ask("GET", "/metrics", headers={"authorization": "Bearer wrong"})[0] == 401
    assert served.chat("other")[0] == 404
    name = "gen_ai_server_request_duration_seconds_count"
    assert value(served, name, outcome="model_not_found", gen_ai_request_model="") == 1


def test_a_worker_that_was_restarted_is_counted(served: Served) -> None:
    (worker,) = [
        int(path.name)
        for path in Path("/proc").glob("[0-9]*")
        if f"{os.environ['ORCH_HOME']}/".encode() in _command(path) and b"llama_orch.worker" in _command(path)
    ]
    os.kill(worker, signal.SIGKILL)
    until(lambda: served.chat("tiny")[0] == 200, "the next request started another")
    assert value(served, "llama_orch_worker_restarts_total", gen_ai_request_model="tiny") == 1


def _command(path: Path) -> bytes:
    try:
        return (path / "cmdline").read_bytes()
    except OSError:
        return b""


def test_ten_thousand_odd_names_and_keys_add_no_series(served: Served) -> None:
    served.chat("tiny")
    served.chat("odd-0")
    before = set(values(served.ask("GET", "/metrics")[1].decode()))
    for number in range(200):  # the gateway; the same for 10,000 in the next test, without HTTP
        served.chat(f"odd-{number}")
        served.ask("GET", "/v1/models", headers={"authorization": f"Bearer odd-{number}"})
        served.ask("GET", f"/odd/{number}", headers={"x-orch-client": f"odd-{number}"})
    assert set(values(served.ask("GET", "/metrics")[1].decode())) == before


def test_the_number_of_series_is_bounded_whatever_comes() -> None:
    metrics = Metrics()
    for number in range(10_000):
        outcome = f"code_{number}"
        metrics.record(CHAT, f"model-{number}", Receipt(outcome=outcome, prompt_tokens=1, output_tokens=1), 0.1)
        metrics.record(OLLAMA, None, Receipt(outcome=outcome), 0.1)
    found = values(generate_latest(metrics.registry).decode())
    assert len({dict(told).get("gen_ai_request_model") for _, told in found} - {None}) == MOST_MODELS + 2
    assert len({dict(told).get("outcome") for _, told in found} - {None}) == MOST_OUTCOMES + 1
    counted = sum(each for (name, _), each in found.items() if name.endswith("request_duration_seconds_count"))
    assert counted == 20_000


def test_operations_have_the_names_of_the_conventions() -> None:
    metrics = Metrics()
    for route in routes.ROUTES:
        if route.job:
            metrics.record(route, "m", Receipt(outcome="stop"), 0.1)
    text = generate_latest(metrics.registry).decode()
    for operation in ("chat", "text_completion", "embeddings", "rerank", "count"):
        assert f'gen_ai_operation_name="{operation}"' in text


def test_times_that_nobody_measured_are_not_observed() -> None:
    metrics = Metrics()
    metrics.record(COUNT, "m", Receipt(outcome="stop", prompt_tokens=5), 0.1)
    found = values(generate_latest(metrics.registry).decode())
    counts = {name: each for (name, _), each in found.items() if name.endswith("_count")}
    assert counts["gen_ai_server_request_duration_seconds_count"] == 1
    assert counts["gen_ai_server_time_to_first_token_seconds_count"] == 0
    assert counts["gen_ai_server_time_per_output_token_seconds_count"] == 0
