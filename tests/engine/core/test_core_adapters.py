# SPDX-License-Identifier: GPL-3.0-or-later
"""LoRA adapters: several, per request, and never one's cells for another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from core_bench import Running

import make_gguf
from llama_orch.engine.engine import Engine
from llama_orch.engine.records import EngineOptions, Finished, Sampling
from llama_orch_utils.errors import BadRequest, EngineFailed

Start = Callable[..., Running]
PROMPT = [10 + place * 7 % 200 for place in range(60)]


@pytest.fixture(scope="module")
def loras(tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("loras")
    for name, seed in (("terse", 1), ("formal", 2)):
        make_gguf.write_lora(str(folder / f"{name}.gguf"), str(tiny_gguf), 8, seed)
    return str(folder / "terse.gguf"), str(folder / "formal.gguf")


def test_each_request_has_its_own(start: Start, loras: tuple[str, str]):
    plain = start()
    with_both = start(loras=((loras[0], 1.0), (loras[1], 0.0)))
    said = {
        scales: with_both.answer(PROMPT, adapters=None if scales is None else dict(enumerate(scales)))[0]
        for scales in (None, (0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
    }
    assert said[0.0, 0.0] == plain.answer(PROMPT)[0]
    assert said[None] == said[1.0, 0.0]
    assert len(set(said.values())) == 4, said
    alone = start(loras=((loras[1], 1.0),))
    assert alone.answer(PROMPT)[0] == said[0.0, 1.0]


@pytest.mark.parametrize("unified", [True, False])
def test_together_as_alone(start: Start, loras: tuple[str, str], unified: bool):
    """Requests with other adapters come together, share a long prefix, and never a batch or a cell."""
    running = start(loras=((loras[0], 1.0), (loras[1], 0.0)), unified=unified, slots=4)
    wishes = ({0: 1.0}, {1: 1.0}, {}, {0: 0.5, 1: 0.5})
    alone = [running.answer(PROMPT, adapters=wish, cache=False, max_tokens=24)[0] for wish in wishes]
    for _ in range(3):
        ids = [running.ask(PROMPT, adapters=wish, max_tokens=24) for wish in wishes]
        for identity in ids:
            assert isinstance(running.received.wait(identity), Finished)
        assert [running.received.text(identity) for identity in ids] == alone


def test_what_is_not_there_is_refused(start: Start, loras: tuple[str, str]):
    running = start(loras=((loras[0], 1.0),))
    for wish, words in (({1: 1.0}, "loaded are 0 .terse"), ({0: float("nan")}, "between"), ({0: 1e9}, "between")):
        with pytest.raises(BadRequest, match=words) as caught:
            running.ask(PROMPT, adapters=wish)
        assert caught.value.param == "/lora"
    with pytest.raises(BadRequest, match="none is loaded"):
        start().ask(PROMPT, adapters={0: 1.0})
    assert running.answer(PROMPT, sampling=Sampling(temperature=0))[0]


@pytest.mark.parametrize("file", ["missing.gguf", "model", "garbage"])
def test_what_is_no_adapter_is_refused(tiny_gguf: Path, demo_gguf: Path, tmp_path: Path, file: str):
    path = {"model": demo_gguf, "missing.gguf": tmp_path / "missing.gguf", "garbage": tmp_path / "garbage"}[file]
    (tmp_path / "garbage").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(EngineFailed, match="no LoRA adapter") as caught:
        Engine.load(tiny_gguf, EngineOptions(context=256, loras=((str(path), 1.0),)), lambda events: None)
    assert caught.value.hint
