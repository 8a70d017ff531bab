# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E501, E741, SIM905 - a schema is read on one line, of short words
"""Writes agents.jsonl: 100 JSON schemas in the manner of agents and of the libraries that make their schemas.

    python tests/schemas/make_agents.py

Some by hand, the rest by a generator with a fixed seed. One object per line: `name` and `schema`.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

OUT = Path(__file__).parent / "agents.jsonl"
S, I, N, B = {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}
WORDS = "path query limit city unit name value kind items mode format depth count title author tags status price url id".split()


def obj(properties, required=None, **more):
    required = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False, **more}


def arr(items, **more):
    return {"type": "array", "items": items, **more}


def ref(name):
    return {"$ref": f"#/$defs/{name}"}


HAND = {
    "read a file": obj({"file_path": S, "offset": {**I, "minimum": 0}, "limit": {**I, "exclusiveMinimum": 0}}, ["file_path"]),
    "zod, draft 7": {"$schema": "http://json-schema.org/draft-07/schema#", **obj({"command": S, "timeout": {**N, "description": "ms"}}, ["command"])},
    "zod record": obj({"metadata": {"type": "object", "propertyNames": S, "additionalProperties": {}}}, ["metadata"]),
    "zod record of enumerated names": obj({"m": {"type": "object", "propertyNames": {"enum": ["a", "b"]}, "additionalProperties": I}}),
    "web fetch": obj({"url": {**S, "format": "uri"}, "prompt": S}),
    "web search": obj({"query": {**S, "minLength": 2}, "allowed_domains": arr(S), "blocked_domains": arr(S)}, ["query"]),
    "questions": obj({"questions": arr(obj({"question": S, "header": {**S, "maxLength": 12}, "options": arr(obj({"label": S}), minItems=2, maxItems=4), "multi": {**B, "default": False}}), minItems=1, maxItems=4)}),
    "todo list": obj({"todos": arr(obj({"content": {**S, "minLength": 1}, "status": {"enum": ["pending", "in_progress", "completed"]}, "id": S}))}),
    "pydantic optional": obj({"name": {"anyOf": [S, {"type": "null"}], "default": None, "title": "Name"}}, []),
    "pydantic definitions": {"$defs": {"Color": {"enum": ["red", "green"], "title": "Color", "type": "string"}, "Car": obj({"color": ref("Color"), "doors": {**I, "maximum": 5, "minimum": 2}}, title="Car")}, **obj({"cars": arr(ref("Car"), maxItems=3)})},
    "pydantic union with discriminator": {"$defs": {"Cat": obj({"kind": {"const": "cat", "type": "string"}, "lives": I}), "Dog": obj({"kind": {"const": "dog", "type": "string"}, "good": B})}, **obj({"pet": {"discriminator": {"mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"}, "propertyName": "kind"}, "oneOf": [ref("Cat"), ref("Dog")]}})},
    "pydantic tuple": obj({"pair": {"type": "array", "prefixItems": [I, S], "minItems": 2, "maxItems": 2}}),
    "pydantic decimal": obj({"price": {"anyOf": [N, {**S, "pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"}]}}),
    "pydantic constrained": obj({"age": {**I, "exclusiveMinimum": 0, "maximum": 120}, "score": {**N, "minimum": 0, "maximum": 1}, "code": {**S, "pattern": "^[A-Z]{3}-\\d{2}$"}}),
    "pydantic dates": obj({"day": {**S, "format": "date"}, "at": {**S, "format": "date-time"}, "time": {**S, "format": "time"}}),
    "pydantic formats": obj({"u": {**S, "format": "uuid"}, "m": {**S, "format": "email"}, "v4": {**S, "format": "ipv4"}, "d": {**S, "format": "duration"}}),
    "pydantic bytes": obj({"blob": {**S, "format": "binary"}, "secret": {**S, "format": "password", "writeOnly": True}}),
    "tree": {"$defs": {"Node": obj({"value": I, "children": arr(ref("Node"), maxItems=2)})}, "$ref": "#/$defs/Node"},
    "linked list": {"$defs": {"L": {"anyOf": [{"type": "null"}, obj({"head": B, "tail": ref("L")})]}}, **obj({"list": ref("L")})},
    "recursion by the root": obj({"name": {"enum": ["div", "p"]}, "children": arr({"$ref": "#"}, maxItems=2)}),
    "expression": {"$defs": {"E": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 9}, obj({"op": {"enum": ["+", "*"]}, "l": ref("E"), "r": ref("E")})]}}, "$ref": "#/$defs/E"},
    "mutual recursion": {"$defs": {"A": obj({"b": {"anyOf": [ref("B"), {"type": "null"}]}}), "B": obj({"a": {"anyOf": [ref("A"), {"type": "null"}]}})}, "$ref": "#/$defs/A"},
    "any JSON": {},
    "any object": {"type": "object"},
    "any array": {"type": "array"},
    "scalar union": {"type": ["string", "number", "boolean", "null"]},
    "one of by title": obj({"size": {"oneOf": [{"const": 1, "title": "small"}, {"const": 2, "title": "large"}]}}),
    "one of by type": obj({"to": {"oneOf": [S, arr(S, maxItems=2)]}}),
    "one of, not told apart": obj({"x": {"oneOf": [{"type": "object", "required": ["a"]}, {"type": "object", "required": ["b"]}]}}),
    "one of numbers that meet": {"oneOf": [{"type": "integer", "multipleOf": 2}, {"type": "integer", "multipleOf": 3}]},
    "all of parts": {"allOf": [{"type": "object", "properties": {"a": I}, "required": ["a"]}, {"properties": {"b": {"type": "string", "maxLength": 3}}, "required": ["b"]}]},
    "all of with a base": {"$defs": {"Base": {"type": "object", "properties": {"id": I}, "required": ["id"]}}, "allOf": [ref("Base"), {"type": "object", "properties": {"n": B}, "required": ["n"]}]},
    "open object": {"type": "object", "properties": {"a": I, "foo bar": B}, "required": ["a"]},
    "map of numbers": {"type": "object", "additionalProperties": N, "maxProperties": 3},
    "map by pattern": {"type": "object", "patternProperties": {"^[a-z]{1,3}$": I}, "additionalProperties": False},
    "map by pattern and names": {"type": "object", "properties": {"id": S}, "patternProperties": {"^x-": B}, "additionalProperties": False},
    "escaped names": obj({'say "hi"': I, "a/b": B, "tab\there": B, "ünï 😀": I}),
    "escaped values": {"enum": ['"', "\\", "\n", "ü", "😀", "a/b", "</tool_call>"]},
    "mixed enumeration": {"enum": [1, 1.5, "1", True, None, [1, 2], {"a": 1}]},
    "constant object": {"const": {"a": [1, {"b": None}], "c": "d"}},
    "empty array only": {"type": "array", "maxItems": 0},
    "three of them": arr({"enum": ["x", "y"]}, minItems=3, maxItems=3),
    "matrix": arr(arr({"type": "integer", "minimum": 0, "maximum": 9}, minItems=2, maxItems=2), minItems=2, maxItems=2),
    "prefix and rest": {"type": "array", "prefixItems": [{"const": "add"}], "items": {"type": "integer", "minimum": 0, "maximum": 99}, "maxItems": 4},
    "tuple of draft 7": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "array", "items": [S, I], "additionalItems": False, "minItems": 2},
    "bounds": {"type": "integer", "minimum": -17, "maximum": 1234},
    "float bounds": {"type": "number", "exclusiveMinimum": -1.5, "maximum": 2.25},
    "multiples": {"type": "integer", "multipleOf": 15, "minimum": 0},
    "quarters": {"type": "number", "multipleOf": 0.25, "minimum": 0, "maximum": 3},
    "cents": obj({"price": {"type": "number", "multipleOf": 0.01}}),
    "openapi numbers": obj({"a": {"type": "integer", "format": "int32"}, "b": {"type": "integer", "format": "int64"}, "c": {"type": "number", "format": "double"}}),
    "lengths": {"type": "string", "minLength": 2, "maxLength": 5},
    "pattern, not anchored": {"type": "string", "pattern": "ab+c", "maxLength": 12},
    "pattern with classes": {"type": "string", "pattern": r"^\d{2}\s\w{1,3}[^\s\d]$"},
    "pattern of a version": {"type": "string", "pattern": r"^v?\d{1,3}\.\d{1,3}(\.\d{1,3})?$"},
    "pattern with look-ahead": {"type": "string", "pattern": "^(?=.*[a-z]).{8,}$"},
    "pattern and length": {"type": "string", "pattern": "^[a-z_]+$", "minLength": 3, "maxLength": 8},
    "pattern with brackets": {"type": "string", "pattern": r"^[[\]&~.-]{1,4}$"},
    "negation": {"not": {"type": "null"}},
    "conditional": {"type": "object", "properties": {"a": B}, "if": {"properties": {"a": {"const": True}}}, "then": {"required": ["b"]}},
    "unique items": arr(S, uniqueItems=True),
    "contains": arr(I, contains={"const": 3}),
    "dependent": {"type": "object", "dependentRequired": {"a": ["b"]}},
    "unevaluated": {"allOf": [{"type": "object", "properties": {"a": I}}], "unevaluatedProperties": False},
    "at least one": {"type": "object", "properties": {"a": I, "b": I}, "minProperties": 1, "additionalProperties": False},
    "a reference elsewhere": {"$ref": "https://example.com/schema.json"},
    "an anchor": {"$ref": "#node", "$defs": {"n": {"$anchor": "node", "type": "null"}}},
    "an id within": {"$defs": {"a": {"$id": "https://example.com/a", "$defs": {"x": I}, "$ref": "#/$defs/x"}}, "$ref": "#/$defs/a"},
    "nothing fits": {"type": "string", "minLength": 5, "maxLength": 2},
    "an unknown format": {"type": "string", "format": "colour"},
    "wide formats": obj({"i": {**S, "format": "iri"}, "r": {**S, "format": "uri-reference"}, "p": {**S, "format": "json-pointer"}}),
}  # fmt: skip


def random_schema(rng, depth=0):
    """As a careless program writes them: nested, optional, with bounds here and there."""
    kinds = [
        lambda: {**S, "maxLength": rng.randint(1, 12)},
        lambda: {**I, "minimum": rng.randint(-9, 9), "maximum": rng.randint(10, 10_000)},
        lambda: {**N, "minimum": 0, "maximum": rng.choice([1, 2.5, 100])},
        lambda: B,
        lambda: {"enum": rng.sample(WORDS, rng.randint(1, 5))},
        lambda: {"anyOf": [B, {"type": "null"}]},
        lambda: {**S, "format": rng.choice(["date", "uuid", "ipv4", "email", "time"])},
        lambda: {
            **S,
            "pattern": rng.choice(["^[a-z]+$", "^#[0-9a-f]{6}$", "^[A-Z][a-z]*( [A-Z][a-z]*)?$"]),
            "maxLength": 20,
        },
    ]
    deep = [
        lambda: random_object(rng, depth + 1),
        lambda: arr(random_schema(rng, depth + 1), minItems=rng.randint(0, 1), maxItems=rng.randint(1, 3)),
        lambda: {"oneOf": [random_schema(rng, 9), {"type": "null"}]},
        lambda: {"type": "object", "additionalProperties": random_schema(rng, 9), "maxProperties": 2},
    ]
    return rng.choice(kinds + deep * (2 if depth < 2 else 0))()


def random_object(rng, depth=0):
    names = rng.sample(WORDS, rng.randint(1, 4))
    made = obj({name: random_schema(rng, depth) for name in names}, [name for name in names if rng.random() < 0.6])
    if rng.random() < 0.2:
        del made["additionalProperties"]
    return made


def main():
    schemas = dict(HAND)
    schemas["200 names"] = {"enum": [f"value-{number}-{WORDS[number % len(WORDS)]}" for number in range(200)]}
    schemas["1000 numbers"] = obj({"n": {"enum": list(range(0, 3000, 3))}})
    schemas["60 properties"] = obj(
        {f"field_{number}": [B, I, {"enum": ["a", "b"]}][number % 3] for number in range(60)}, []
    )
    schemas["30 levels"] = {"type": "null"}
    for _ in range(30):
        schemas["30 levels"] = arr(schemas["30 levels"], minItems=1, maxItems=1)
    rng = random.Random(7)
    while len(schemas) < 100:
        schemas[f"generated {len(schemas)}"] = random_object(rng)
    lines = [json.dumps({"name": name, "schema": schema}, ensure_ascii=False) for name, schema in schemas.items()]
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
