# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /openapi.json`: whole, well-formed, and of what is served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from serve_process import serving

from llama_orch.tap import routes
from llama_orch.tap.openapi.components import Components
from llama_orch.tap.openapi.document import document
from llama_orch.tap.openapi.sharing import shared

GUARDED = document(keyless=False)
OPEN = document(keyless=True)
OPERATIONS = [(path, method) for path, methods in GUARDED["paths"].items() for method in methods]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def found(reference: str, whole: dict[str, Any]) -> Any:
    place: Any = whole
    for part in reference.removeprefix("#/").split("/"):
        place = place[part]
    return place


def test_every_route_is_described_and_nothing_else() -> None:
    served = {(route.method.lower(), route.path) for route in routes.ROUTES}
    described = {(method, _starred(path)) for path, method in OPERATIONS}
    assert described == served
    names = [GUARDED["paths"][path][method]["operationId"] for path, method in OPERATIONS]
    assert len(set(names)) == len(names)


def _starred(path: str) -> str:
    return path.replace("{model}", "*").replace("{id}", "*")


def test_every_reference_leads_somewhere() -> None:
    for reference in set(references(GUARDED)):
        assert found(reference, GUARDED), reference


@pytest.mark.parametrize("name", GUARDED["components"]["schemas"])
def test_every_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(GUARDED["components"]["schemas"][name])


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_operation_says_what_it_takes_and_gives(path: str, method: str) -> None:
    operation = GUARDED["paths"][path][method]
    public = operation.get("security") == []
    assert ("401" in operation["responses"]) is not public
    assert "200" in operation["responses"]
    assert "403" in operation["responses"]
    assert operation["summary"]
    if "requestBody" in operation:
        assert {"400", "413", "415"} <= set(operation["responses"])
    assert path.count("{") == sum(each["in"] == "path" for each in operation.get("parameters", []))


def test_without_a_key_there_is_no_security() -> None:
    assert "security" not in OPEN
    assert "securitySchemes" not in OPEN["components"]
    assert not any("401" in operation["responses"] for each in OPEN["paths"].values() for operation in each.values())
    assert GUARDED["security"] == [{"bearer": []}, {"apiKey": []}]


def expanded(value: Any, schemas: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/components/schemas/"):
            return expanded(schemas[reference.rpartition("/")[2]], schemas)
        return {key: expanded(each, schemas) for key, each in value.items()}
    return [expanded(each, schemas) for each in value] if isinstance(value, list) else value


def test_sharing_changes_nothing() -> None:
    long = {"type": "object", "properties": {f"property_{number}": {"type": "string"} for number in range(20)}}
    holder = {"type": "object", "properties": {"type": long, "anyOf": long, "other": {"enum": ["$ref", long]}}}
    before: dict[str, Any] = {"One": long, "Two": holder, "Three": {"anyOf": [holder, long]}, "Four": dict(long)}
    after = shared(before)
    assert {name: expanded(after[name], after) for name in before} == before
    assert after["Four"] == {"$ref": "#/components/schemas/One"}
    assert len(json.dumps(after)) < len(json.dumps(before)) / 3


def test_definitions_of_a_schema_come_along() -> None:
    components = Components()
    tree = {"$ref": "#/$defs/Node", "$defs": {"Node": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}}
    assert components.refer("Tree", tree) == {"$ref": "#/components/schemas/Tree"}
    assert components.schemas["Tree"] == {"$ref": "#/components/schemas/TreeNode"}
    assert components.schemas["TreeNode"] == {"type": "array", "items": {"$ref": "#/components/schemas/TreeNode"}}


def test_streams_of_lines_hold_to_it_too(orch_home: Path, tiny_gguf: Path) -> None:
    # What schemathesis cannot take apart: newline-delimited JSON.
    with serving("-m", str(tiny_gguf)) as served:
        whole = json.loads(served.ask("GET", "/openapi.json")[1])
        assert whole == GUARDED
        for path, body in (
            ("/api/chat", {"messages": [{"role": "user", "content": "Hi"}]}),
            ("/api/generate", {"prompt": "Hi"}),
        ):
            status, answer, headers = served.ask("POST", path, body | {"model": "tiny", "options": {"num_predict": 5}})
            assert (status, headers["content-type"].partition(";")[0]) == (200, "application/x-ndjson")
            schema = whole["paths"][path]["post"]["responses"]["200"]["content"]["application/x-ndjson"]["schema"]
            for line in answer.splitlines():
                jsonschema.validate(json.loads(line), {**schema, "components": whole["components"]})
