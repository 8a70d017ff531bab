# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedder under many callers, bad arguments, cancellation and its own end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import gguf
import numpy as np
import pytest

from llama_orch.engine.embedding import Embedder
from llama_orch.engine.embedding import embedder as module
from llama_orch.engine.embedding.dimensions import plan
from llama_orch.engine.records import EngineOptions
from llama_orch_utils.errors import BadRequest, ContextTooLong, EngineFailed, OrchError, RateLimited


def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize("name", ["embed", "embed-last", "rank"])
def test_bad_arguments_are_refused_before_c(embedders, name):
    embedder = embedders(name)
    n_tokens, limit = embedder.vocabulary.n_tokens, embedder.context
    with pytest.raises(ContextTooLong) as too_long:
        embedder.embed([[1], [1] * (limit + 1)])
    assert (too_long.value.limit, too_long.value.asked, too_long.value.param) == (limit, limit + 1, "/1")
    for bad in ([], [-1], [n_tokens], [2**40], [2**70], ["x"], [[1]], [None], [float("nan")]):
        with pytest.raises(BadRequest) as refused:
            embedder.embed([[1], bad])
        assert refused.value.param == "/1"
    with pytest.raises(BadRequest, match="nothing to embed"):
        embedder.embed([])
    assert embedder.embed([[1]]).shape == (1, embedder.width)


CHILD = """
import sys
from pathlib import Path
from llama_orch.engine.embedding import Embedder
from llama_orch.engine.records import EngineOptions
from llama_orch_utils.errors import OrchError
with Embedder.load(Path(sys.argv[1]), EngineOptions(context=64)) as embedder:
    for texts in ([[1] * 65], [[1] * 10_000], [[-1]], [[10**6]], [[1] * 64] * 300, [[]], [[1]] * 5000):
        try:
            print(embedder.embed(texts).shape)
        except OrchError as error:
            print(error.code)
    import numpy as np
    print(embedder._pooled.run([np.ones(60, np.int32)]).shape)
    ids = lambda *values: np.array(values, np.int32)
    for texts in ([ids(*[1] * 65)], [ids(1)] * 40, [ids(-1)], [ids(9999)], [ids()], [ids(*[1] * 40)] * 2):
        try:
            embedder._pooled.run(texts)
            print("no error")
        except OrchError as error:
            print(error.code)
"""


@pytest.mark.parametrize("name", ["embed-cls", "embed-last"])
def test_nothing_ends_the_process(model_file, name):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(model_file(name))],
        env=os.environ | {"GGML_NO_BACKTRACE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    too_long = ["context_length_exceeded"] * 2
    expected = [*too_long, "bad_request", "bad_request", "(300, 128)", "bad_request", "(5000, 128)", "(1, 128)"]
    assert done.stdout.split("\n")[:-1] == expected + ["engine_failed"] * 6


SIZES = """
import sys
from pathlib import Path
from llama_orch.engine.embedding import Embedder
from llama_orch.engine.records import EngineOptions
for context in (1, 2, 31, 33, 100, 255):
    for batch in (1, 7, 32, 33):
        with Embedder.load(Path(sys.argv[1]), EngineOptions(context=context, micro_batch=batch)) as embedder:
            texts = [[1] * length for length in range(1, context + 1, 9)]
            assert embedder.embed([*texts, [2] * context]).shape[0] == len(texts) + 1
print("fine")
"""


@pytest.mark.parametrize("name", ["embed", "embed-last", "rank"])
def test_every_size_of_context_and_batch(model_file, name):
    done = subprocess.run(
        [sys.executable, "-c", SIZES, str(model_file(name))], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "fine\n", done.stderr[-2000:]


def test_many_callers_at_once(embedders):
    embedder = embedders("embed")
    texts = [[(place * (length + 3)) % 500 for place in range(length)] for length in range(1, 60)]
    expected = np.concatenate([embedder.embed([text]) for text in texts])
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda text: embedder.embed([text])[0], texts))
    np.testing.assert_allclose(np.stack(found), expected, rtol=1e-2, atol=1e-2)
    shot = embedder.snapshot()
    assert (shot.active, shot.queued) == (0, 0)
    assert shot.counters.requests >= 2 * len(texts)


def test_a_large_request_holds_no_small_one_up(embedders):
    embedder = embedders("embed", micro_batch=64)
    order: list[str] = []
    done = threading.Event()

    def finished(name: str):
        def note(_: object) -> None:
            order.append(name)
            if len(order) == 2:
                done.set()

        return note

    embedder.submit([[1] * 50] * 500, finished("large"))
    embedder.submit([[2] * 10], finished("small"))
    assert done.wait(120)
    assert order == ["small", "large"]


@pytest.mark.parametrize("name", ["embed", "embed-last"])
def test_a_cancelled_request_is_gone_at_once_and_leaves_no_trace(embedders, name):
    embedder = embedders(name, micro_batch=512)
    expected = embedder.embed([[1, 2, 3]])
    told: list[object] = []
    for _ in range(3):
        number = embedder.submit([[1] * 500] * 1000, told.append)
        until(lambda: embedder.snapshot().active)
        begun = time.monotonic()
        embedder.cancel(number)
        embedder.cancel(number)
        embedder.cancel(10**9)
        np.testing.assert_array_equal(embedder.embed([[1, 2, 3]]), expected)
        assert time.monotonic() - begun < 1.0
    shot = embedder.snapshot()
    assert (shot.active, shot.queued, told) == (0, 0, [])


def test_weights_that_give_no_numbers(model_file, tmp_path):
    path = tmp_path / "infinite.gguf"
    shutil.copy(model_file("embed"), path)
    for tensor in gguf.GGUFReader(path, "r+").tensors:
        if tensor.name.endswith("layer_output_norm.weight"):
            tensor.data[:] = 3e38  # a number each, and none any more when multiplied
    with Embedder.load(path, EngineOptions()) as embedder:
        with pytest.raises(EngineFailed) as failed:
            embedder.embed([[1, 2, 3]])
        assert failed.value.code == "not_finite"
        assert embedder.failure is None


def test_cancelling_one_of_two_leaves_the_other(embedders):
    embedder = embedders("embed", micro_batch=64)
    expected = embedder.embed([[5, 6, 7]])
    for _ in range(20):
        answer: Future[object] = Future()
        first = embedder.submit([[1] * 30] * 40, lambda _: None)
        embedder.submit([[5, 6, 7]] * 3, answer.set_result)
        embedder.cancel(first)
        np.testing.assert_allclose(answer.result(60), np.repeat(expected, 3, axis=0), rtol=1e-2, atol=1e-2)


def test_a_full_queue_says_so_at_once(embedders, monkeypatch):
    embedder = embedders("embed-last", micro_batch=512)
    monkeypatch.setattr(module, "MOST_JOBS", 3)
    numbers = [embedder.submit([[1] * 2000] * 50, lambda _: None) for _ in range(3)]
    with pytest.raises(RateLimited) as full:
        embedder.submit([[1]], lambda _: None)
    assert full.value.retry_after
    monkeypatch.setattr(module, "MOST_JOBS", 100)
    monkeypatch.setattr(module, "MOST_TOKENS", 3 * 50 * 2000)
    with pytest.raises(RateLimited):
        embedder.submit([[1]], lambda _: None)
    for number in numbers:
        embedder.cancel(number)
    monkeypatch.setattr(module, "MOST_TOKENS", 10)
    assert embedder.embed([[1] * 100]).shape == (1, 128)  # alone, any size is taken


def test_the_end_tells_everybody(model_file):
    embedder = Embedder.load(model_file("embed-last"), EngineOptions())
    told: list[object] = []
    for _ in range(3):
        embedder.submit([[1] * 2000] * 200, told.append)
    begun = time.monotonic()
    embedder.close()
    embedder.close()
    assert time.monotonic() - begun < 2.0
    assert len(told) == 3
    assert all(isinstance(one, EngineFailed) for one in told)
    with pytest.raises(EngineFailed):
        embedder.embed([[1]])
    assert embedder.failure is None


def test_all_can_be_failed_and_the_embedder_goes_on(embedders):
    embedder = embedders("embed-last", micro_batch=512)
    told: list[object] = []
    for _ in range(3):
        embedder.submit([[1] * 2000] * 100, told.append)
    error = EngineFailed("enough")
    embedder.fail_all(error)
    assert told == [error] * 3
    assert embedder.embed([[1, 2]]).shape == (1, 128)
    assert told == [error] * 3


def test_a_receiver_that_raises_harms_nobody(embedders, capfd):
    embedder = embedders("embed")
    called = threading.Event()

    def broken(_: object) -> None:
        called.set()
        raise RuntimeError("the receiver's fault")

    embedder.submit([[1]], broken)
    assert called.wait(60)
    assert embedder.embed([[1]]).shape == (1, 128)
    assert embedder.failure is None


def test_the_context_is_bounded_by_training_and_by_memory(embedders, model_file):
    card = embedders("embed").model
    assert plan(card, EngineOptions(context=100), whole=True, width=128).context == 100
    made = plan(card, EngineOptions(context=10**6), whole=True, width=128)
    assert (made.context, made.short) == (card.context_train, None)
    large = card.__class__(**{slot: getattr(card, slot) for slot in card.__slots__} | {"context_train": 2**30})
    with pytest.raises(EngineFailed, match="more memory than there is"):
        plan(large, EngineOptions(context=2**30), whole=True, width=128)
    assert plan(large, EngineOptions(), whole=True, width=128).context <= 8192
    for option in ("context", "threads", "slots", "micro_batch"):
        with pytest.raises(EngineFailed, match=option):
            plan(card, EngineOptions(**{option: 0}), whole=True, width=128)
    with Embedder.load(model_file("embed"), EngineOptions(context=10_000)) as capped:
        assert capped.context == card.context_train
        assert any("10000" in warning for warning in capped.warnings)


def test_errors_are_of_the_one_tree(embedders):
    with pytest.raises(OrchError):
        embedders("embed").embed([[10**9]])
