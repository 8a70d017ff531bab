# SPDX-License-Identifier: GPL-3.0-or-later
"""The schemas that answers are held to in these tests, and answers of a model that knows nothing."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema.validators import validator_for

from llama_orch.engine.records import Finished, Request, Sampling
from llama_orch_utils.errors import BadRequest

HERE = Path(__file__).parent
MAX_TOKENS = 160


@dataclass(frozen=True)
class Entry:
    """A schema, where it is from, and instances with their verdicts where there are any."""

    name: str
    schema: Any
    tests: tuple[tuple[Any, bool], ...] = ()


def suite(draft: str) -> list[Entry]:
    lines = (HERE / "suite" / f"{draft}.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [
        Entry(f"{draft}/{row['file']}: {row['description']}", row["schema"], tuple(map(tuple, row["tests"])))
        for row in rows
    ]


def agents() -> list[Entry]:
    rows = [json.loads(line) for line in (HERE / "agents.jsonl").read_text().splitlines()]
    return [Entry(f"agents: {row['name']}", row["schema"]) for row in rows]


def everything() -> list[Entry]:
    return [*agents(), *suite("draft2020-12"), *suite("draft7")]


def validator(schema: Any) -> Any:
    kind = validator_for(schema, default=jsonschema.Draft202012Validator)
    return kind(schema, format_checker=kind.FORMAT_CHECKER)


def samplings(engine: Any, rng: random.Random) -> list[Sampling]:
    """Settings that make a random model end in different ways: as it comes, in a hurry, without any choice."""
    hurry = {token: 4.0 for text in ('"', "}", "]", ",", "0") for token in engine.tokenize(text)}
    hurry |= dict.fromkeys(engine.vocabulary.ends, 6.0)
    seed = rng.randrange(2**31)
    return [
        Sampling(temperature=1.0, seed=seed, logit_bias=hurry),
        Sampling(temperature=1.5, top_k=0, top_p=1.0, min_p=0.0, seed=seed + 1, logit_bias=hurry),
        Sampling(temperature=0.0, logit_bias=hurry, repeat_penalty=1.3),
        Sampling(temperature=2.0, top_k=0, top_p=1.0, min_p=0.0, seed=seed + 2),
    ]


@dataclass
class Tally:
    """What became of the schemas: refused before anything was generated, and the answers of the others."""

    refused: int = 0
    stopped: int = 0
    cut: int = 0
    unsure: int = 0


def hold(engine: Any, received: Any, entries: list[Entry], rng: random.Random) -> tuple[Tally, list[str]]:
    """Has the engine answer by each schema; the tally, and what went wrong in words."""
    tally, wrong, asked = Tally(), [], []
    prompt = engine.tokenize("JSON: ")
    for entry in entries:
        text = json.dumps(entry.schema)
        for sampling in samplings(engine, rng):
            try:
                request = Request(prompt, replace(sampling, json_schema=text), max_tokens=MAX_TOKENS)
                asked.append((entry, engine.submit(request)))
            except BadRequest as error:
                tally.refused += 1
                if error.status != 400 or not (error.param or "").startswith("/json_schema"):
                    wrong.append(f"{entry.name}: refused without a place: {error.message} ({error.param})")
                break
    for entry, identity in asked:
        end = received.wait(identity)
        _judge(entry, end, received.text(identity), tally, wrong)
    return tally, wrong


def _judge(entry: Entry, end: Any, answer: str, tally: Tally, wrong: list[str]) -> None:
    if not isinstance(end, Finished):
        if isinstance(end.error, BadRequest):  # typed, and no answer: the grammar's limits
            tally.unsure += 1
        else:
            wrong.append(f"{entry.name}: {end}")
    elif end.reason == "length":
        tally.cut += 1
    elif end.reason == "stop":
        tally.stopped += 1
        try:
            validator(entry.schema).validate(json.loads(answer))
        except (ValueError, jsonschema.ValidationError) as error:
            wrong.append(f"{entry.name}: {answer!r}: {str(error)[:200]}")
        except Exception:  # noqa: BLE001 - the validator cannot read the schema (a pattern of another dialect)
            tally.unsure += 1
    else:
        wrong.append(f"{entry.name}: {end}")
