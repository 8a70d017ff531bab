# SPDX-License-Identifier: GPL-3.0-or-later
"""Structured answers, tools and reasoning with a real worker: random weights, so what fits was held, not meant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from embedding_models import embedding_model
from pydantic import BaseModel, Field

from llama_orch_utils import AsyncClient, Client, InvalidAnswer, StepsExhausted, UnsupportedByTarget, tool


class Bird(BaseModel):
    name: Annotated[str, Field(max_length=4)]
    size: Literal["small", "large"]
    eggs: Annotated[int, Field(ge=0, le=9)]


@tool
def weather(city: Literal["Utrecht", "Paris"], day: Annotated[int, Field(ge=0, le=9)]) -> str:
    "Weather of a city."
    return f"rain in {city} on day {day}"


FORCED: dict[str, Any] = {
    "tools": [weather], "tool_choice": "required", "parallel_tool_calls": False, "max_tokens": 200, "temperature": 0,
}  # fmt: skip


@pytest.fixture
def local(orch_home: Path, tiny_gguf: Path) -> Iterator[Client]:
    with Client("local", model=str(tiny_gguf)) as client:
        yield client


def test_random_weights_answer_in_the_shape(local: Client):
    for seed in range(5):
        bird = local.parse("Name a bird", Bird, max_tokens=1000, seed=seed)
        assert isinstance(bird, Bird)
    assert local.parse("Yes or no?", Literal["yes", "no"], seed=1) in ("yes", "no")
    with pytest.raises(InvalidAnswer, match="cut after 1 tokens"):
        local.parse("Name a bird", Bird, max_tokens=1)


def test_a_schema_that_cannot_be_held_is_refused_by_its_pointer(local: Client):
    class Odd(BaseModel):
        codes: Annotated[list[int], Field(json_schema_extra={"contains": {"const": 1}})]

    with pytest.raises(UnsupportedByTarget) as caught:
        local.parse("hi", Odd)
    assert caught.value.capability == "contains"
    assert (caught.value.param or "").endswith("/schema/properties/codes/contains")


def test_forced_calls_run_and_go_on(local: Client):
    answer = local.chat("Do I need a coat?", **FORCED)
    roles = [message["role"] for message in answer.messages]
    assert roles == ["assistant", "tool", "assistant"]
    assert answer.steps == 2
    assert str(answer.messages[1]["content"]).startswith("rain in ")
    with local.stream("Do I need a coat?", **FORCED) as stream:
        pieces = list(stream)
    calls = [piece.call for piece in pieces if piece.call]
    results = [piece.result for piece in pieces if piece.result]
    assert (len(calls), len(results)) == (1, 1)
    assert calls[0].values["city"] in ("Utrecht", "Paris")
    assert not results[0].failed
    assert stream.answer.messages[1]["content"] == answer.messages[1]["content"]
    with pytest.raises(StepsExhausted):
        local.chat("Do I need a coat?", **FORCED, max_steps=1)


def test_plain_definitions_come_back_and_their_results_are_taken(local: Client):
    history: list[Any] = [{"role": "user", "content": "Do I need a coat?"}]
    answer = local.chat(history, **{**FORCED, "tools": [weather.definition()]})
    assert answer.finish_reason == "tool_calls"
    (call,) = answer.tool_calls
    assert set(call.values) == {"city", "day"}
    history += [*answer.messages, {"role": "tool", "content": weather(**call.values), "tool_call_id": call.id}]
    assert local.chat(history, tools=[weather.definition()], tool_choice="none", max_tokens=5).tool_calls == ()


def test_the_async_client_at_the_same_worker(local: Client, tiny_gguf: Path):
    local.chat("hi", max_tokens=1)

    async def main() -> None:
        async with AsyncClient("local", model=str(tiny_gguf)) as client:
            bird, answer = await asyncio.gather(
                client.parse("Name a bird", Bird, max_tokens=1000, seed=3), client.chat("Coat?", **FORCED)
            )
            assert isinstance(bird, Bird)
            assert answer.steps == 2
            assert json.dumps(answer.to_dict())

    asyncio.run(main())


def test_a_model_without_embeddings_says_so(local: Client):
    with pytest.raises(UnsupportedByTarget):
        local.embed(["a"])
    with pytest.raises(UnsupportedByTarget):
        local.rerank("a", ["b"])


def test_embeddings_and_rankings_of_real_workers(orch_home: Path, shared_folder: Path):
    texts = ["a red bird", "a stone", "a red bird"]
    with Client("local", model=str(embedding_model(shared_folder, "embed"))) as client:
        found = client.embed(texts)
        alone = [client.embed(text).vectors[0] for text in texts]
    assert (len(found), found.usage.input_tokens > 0) == (3, True)
    assert found.vectors[0] == pytest.approx(found.vectors[2], abs=1e-4)
    for together, single in zip(found.vectors, alone, strict=True):
        assert sum(a * b for a, b in zip(together, single, strict=True)) == pytest.approx(1.0, abs=1e-3)
    with Client("local", model=str(embedding_model(shared_folder, "rank"))) as client:
        ranking = client.rerank("red", texts, top_n=2)
    assert len(ranking.results) == 2
    assert ranking.results[0].score >= ranking.results[1].score
    assert ranking.results[0].document == texts[ranking.results[0].index]
