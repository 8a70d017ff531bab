# SPDX-License-Identifier: GPL-3.0-or-later
"""One contract: every applet that is installed gives the same through all its faces, and is metered at a tap."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from applet_package import package
from gateway_process import Gateway, start
from jsonschema import Draft202012Validator
from mcp.client.client import Client as McpClient
from mcp.client.stdio import StdioServerParameters, stdio_client
from postgres_server import sqlite_ledger
from tap_house import House, Tenant

from llama_orch_utils import Client, OrchError, applets
from llama_orch_utils.applets import Files, schemas
from llama_orch_utils.applets.inputs import InputField, fields_of
from llama_orch_utils.applets.schema import MOST_BYTES, Runnable, size
from llama_orch_utils.testing import FakeTap

__all__ = ["sqlite_ledger"]  # a fixture

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
NAMES = applets.names()
READY = ("brief", "extract", "minutes", "outreach", "reply", "summarize", "triage")
TEXT = "The wren is a small bird. It sings at dawn. Ask Anna by Friday."


@dataclass(frozen=True)
class Said:
    """What one face gave: an output, or the code of an error."""

    output: dict[str, Any] | None = None
    code: str | None = None


@dataclass
class Place:
    """A tap with accounts in front of a fake server, and a tenant of it."""

    upstream: FakeTap
    house: House
    tenant: Tenant
    documents: Path

    @property
    def url(self) -> str:
        return self.house.gateway.url + ("" if self.house.gateway.url.endswith("/v1") else "/v1")


@pytest.fixture(scope="module")
def place(sqlite_ledger: Path) -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
    (folder / "documents").mkdir()
    (folder / "documents/birds.txt").write_text(TEXT)
    (folder / "tap.db").write_bytes(sqlite_ledger.read_bytes())
    with FakeTap() as upstream:
        spec = {"id": "u", "url": upstream.url, "model": "fake-model"}
        models = [{"name": "tiny", "upstreams": [spec], "context": 8192}]
        house = House(f"sqlite:///{folder}/tap.db", models)
        yield Place(upstream, house, house.tenant("acme"), folder / "documents")
        house.end()
    shutil.rmtree(folder)


def value(field: InputField, documents: Path) -> Any:
    """Something that fits a field that must be given."""
    match field.kind:
        case "path":
            return str(documents)
        case "choice":
            return field.choices[0]
        case "list":
            return ["wren"] if field.plain is str else [1]
        case "flag":
            return True
        case "json":
            shape = {"type": "object", "properties": {"bird": {"type": "string"}}}
            return [] if field.shape.get("type") == "array" else shape
        case _:
            return TEXT if field.plain is str else 1


def arguments(applet: Any, documents: Path) -> dict[str, Any]:
    """The first case of its evaluation set, or something that fits; paths lead to our own documents."""
    cases = Path(str(sys.modules[applet.function.__module__].__file__)).parent / "evaluation" / "cases.jsonl"
    given: dict[str, Any] = json.loads(cases.read_text().splitlines()[0])["input"] if cases.exists() else {}
    missing = [each for each in fields_of(applet) if each.kind == "path" or (each.required and each.name not in given)]
    return given | {each.name: value(each, documents) for each in missing}


def words_of(applet: Runnable, given: dict[str, Any], folder: Path) -> list[str]:
    """The same on a command line."""
    words: list[str] = []
    for each in fields_of(applet):
        if each.name not in given:
            continue
        flag, found = f"--{each.name.replace('_', '-')}", given[each.name]
        if each.kind == "document":
            (folder / "document.txt").write_text(found)
            words.append(str(folder / "document.txt"))
        elif each.kind == "argument":
            words.append(found)
        elif each.kind == "flag":
            words.append(flag)
        elif each.kind == "list":
            words += [part for one in found for part in (flag, str(one))]
        else:
            words += [flag, json.dumps(found) if each.kind == "json" else str(found)]
    return words


def load(name: str) -> Any:
    found = applets.load(name)
    assert found is not None
    assert found.applet is not None, found.error
    return found.applet


def by_python(applet: Any, given: dict[str, Any], place: Place) -> Said:
    files = Files([place.documents])
    with Client(place.url, key=place.tenant.secret, model="tiny") as client:
        try:
            made = applet(applet.input.model_validate(given), client=client, files=files)
        except OrchError as error:
            return Said(code=error.code)
    return Said(made.model_dump(mode="json"))


def by_command(applet: Any, given: dict[str, Any], place: Place, run_orch: Orch, folder: Path) -> Said:
    words = words_of(applet, given, folder)
    environment = {"ORCH_API_KEY": place.tenant.secret}
    done = run_orch(applet.id, *words, "--target", place.url, "-m", "tiny", "--json", env=environment)
    return Said(json.loads(done.stdout)) if done.returncode == 0 else Said(code=done.stderr.decode())


def by_http(applet: Any, given: dict[str, Any], place: Place) -> Said:
    reply = place.tenant.call("POST", f"/v1/applets/{applet.id}?model=tiny", given)
    if reply.status != 200:
        return Said(code=reply.error["code"])
    assert reply.headers["x-orch-cost"] == str(reply.json["cost"])
    return Said(reply.json["output"])


def by_mcp(applet: Any, given: dict[str, Any], place: Place) -> Said:
    words = ["-m", "llama_orch.cli", "applet", "mcp", applet.id, "--target", place.url, "-m", "tiny"]
    words += ["--folder", str(place.documents)]
    environment = dict(os.environ) | {"ORCH_API_KEY": place.tenant.secret}

    async def main() -> tuple[Any, Any]:
        server = StdioServerParameters(command=sys.executable, args=words, env=environment)
        async with McpClient(stdio_client(server)) as client:
            return (await client.list_tools()).tools, await client.call_tool(applet.id, given)

    tools, called = anyio.run(main)
    assert [(each.name, each.input_schema["properties"]) for each in tools] == [
        (applet.id, applet.schema()["input"]["properties"])
    ]
    if called.is_error:
        return Said(code=called.meta["llama-orch"]["error"]["code"])
    return Said(called.structured_content)


@pytest.mark.parametrize("name", NAMES)
def test_every_applet_gives_the_same_by_every_face(
    name: str, place: Place, run_orch: Orch, orch_home: Path, tmp_path: Path
) -> None:
    applet = load(name)
    given = arguments(applet, place.documents)
    shapes = json.loads(run_orch("applet", "schema", name).stdout)[0]
    assert shapes == applet.schema()
    Draft202012Validator(shapes["input"]).validate(given)
    python = by_python(applet, given, place)
    command = by_command(applet, given, place, run_orch, tmp_path)
    mcp = by_mcp(applet, given, place)
    before = len(place.tenant.usages())
    http = by_http(applet, given, place)
    if any(each.kind == "path" for each in fields_of(applet)):
        assert http.code in ("applet_error", "bad_request"), "a caller elsewhere has no files here"
    else:
        assert http == python
        metered = len(place.tenant.usages()) > before
        assert metered or http.output is None, "a run is metered as what it asks"
    assert mcp == python
    if python.output is None:
        assert command.code
    else:
        assert command == python
        Draft202012Validator(shapes["output"]).validate(python.output)
    assert place.tenant.row()[1] == 0


def test_the_schemas_of_all_ready_made_applets_are_short() -> None:
    found = schemas([load(name) for name in READY])
    assert size(found) <= MOST_BYTES, {each["id"]: size([each]) for each in found}


def test_the_list_over_http(place: Place) -> None:
    reply = place.tenant.call("GET", "/v1/applets")
    assert reply.status == 200
    assert {each["id"] for each in reply.json["data"]} >= set(READY)
    found = next(each for each in reply.json["data"] if each["id"] == "summarize")
    assert found["input"] == load("summarize").schema()["input"]
    assert place.house.gateway.call("GET", "/v1/applets", key=False).status == 401


@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        ("nothere", {}, 404, "unknown_applet"),
        ("summarize", b"{", 400, "bad_request"),
        ("summarize", [1], 400, "bad_request"),
        ("summarize", {"text": "x", "length": "huge"}, 400, "bad_request"),
    ],
)
def test_what_http_refuses(place: Place, name: str, body: Any, status: int, code: str) -> None:
    reply = place.tenant.call("POST", f"/v1/applets/{name}", body)
    assert (reply.status, reply.error["code"]) == (status, code)


def test_without_money_an_applet_gets_no_answer(place: Place) -> None:
    broke = place.house.tenant("broke", 0)
    before = len(place.upstream.asked)
    reply = broke.call("POST", "/v1/applets/triage?model=tiny", {"subject": TEXT})
    assert (reply.status, reply.error["code"]) == (402, "insufficient_credits")
    assert not [each for each in place.upstream.asked[before:] if each.path.endswith("completions")]


def test_a_run_over_http_may_be_bounded(place: Place) -> None:
    reply = place.tenant.call("POST", "/v1/applets/triage?model=tiny&max_cost=0.000001", {"subject": TEXT})
    assert (reply.status, reply.error["code"]) == (402, "budget_exceeded")


@pytest.fixture
def served(orch_home: Path, tmp_path: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    package(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    gateway = start(orch_home, tiny_gguf, context=512)
    yield gateway
    gateway.end()


def test_on_orch_serve_with_a_real_model_and_whatever_the_applet_does(served: Gateway) -> None:
    reply = served.call("POST", "/v1/applets/shout?model=tiny", {"text": "hi", "does": "ask"})
    assert reply.status == 200, reply.body
    assert reply.json["applet"] == "shout"
    assert served.call("POST", "/v1/applets/shout", {"text": "hi", "does": "print"}).json["output"]["words"] == "HI HI"
    for does in ("die", "fail", "exit", "odd"):
        reply = served.call("POST", "/v1/applets/shout", {"text": "hi", "does": does})
        assert (reply.status, reply.error["code"]) == (500, "applet_error"), reply.body
    assert served.call("POST", "/v1/applets/shout", {"text": "hi", "times": 1}).json["output"]["words"] == "HI"
    assert served.call("POST", "/v1/applets/shout", {"text": "hi"}, key=False).status == 401


def test_mcp_over_streamable_http(orch_home: Path) -> None:
    words = [sys.executable, "-m", "llama_orch.cli", "applet", "mcp", "summarize", "--port", "0"]

    async def main(url: str) -> Any:
        async with McpClient(url) as client:
            return await client.call_tool("summarize", {"text": TEXT})

    with FakeTap() as tap:
        with subprocess.Popen([*words, "--target", tap.url], stderr=subprocess.PIPE, env=dict(os.environ)) as process:
            assert process.stderr is not None
            try:
                line = process.stderr.readline().decode()
                called = anyio.run(main, line.split()[2].rstrip(";"))
            finally:
                process.terminate()
        assert called.structured_content is not None
