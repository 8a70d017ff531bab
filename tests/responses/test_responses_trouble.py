# SPDX-License-Identifier: GPL-3.0-or-later
"""Background responses when something goes wrong: too many of them, a worker that dies, a gateway that ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from processes import workers_of
from responses_gateway import Gateway, start
from test_responses_gateway import ENDLESS, ask, ended


@pytest.fixture
def small(orch_home: Path, tiny_gguf: Path) -> Iterator[Gateway]:
    """One slot, and few places to wait."""
    running = start(orch_home, tiny_gguf, slots=1, max_queue=4)
    yield running
    running.end()


def test_too_many_at_once_are_refused_at_once(small: Gateway) -> None:
    client = small.client()
    begun: list[str] = []

    def begin() -> None:
        for _ in range(12):
            begun.append(ask(client, "Long?", background=True, **ENDLESS).id)  # noqa: PERF401 - until one is refused

    with pytest.raises(openai.RateLimitError) as caught:
        begin()
    assert int(caught.value.response.headers["retry-after"]) >= 1
    assert begun
    assert {client.responses.cancel(identity).status for identity in begun} <= {"cancelled", "completed"}
    assert ask(client, "Quick?").usage is not None


def test_a_dead_worker_fails_its_response_and_not_the_gateway(small: Gateway, orch_home: Path) -> None:
    client = small.client()
    with client.responses.create(model="tiny", input="Long?", background=True, stream=True, **ENDLESS) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                break
    (worker,) = workers_of(orch_home)
    os.kill(worker, signal.SIGKILL)
    identity = "resp_" + event.item_id.removeprefix("msg_").rpartition("_")[0]
    found = ended(client, identity)
    assert found.status == "failed"
    assert found.error is not None
    assert found.error.code == "server_error"
    with pytest.raises(openai.BadRequestError):
        ask(client, "And?", previous_response_id=identity)
    assert ask(client, "Again?").usage is not None


def test_a_gateway_that_is_told_to_end_does_not_wait_for_the_background(small: Gateway, orch_home: Path) -> None:
    client = small.client()
    for _ in range(2):
        ask(client, "Long?", background=True, **ENDLESS)
    began = time.monotonic()
    small.process.send_signal(signal.SIGTERM)
    assert small.process.wait(30) == 0, small.log
    assert time.monotonic() - began < 15
    assert workers_of(orch_home) == []
    assert "Traceback" not in small.log
