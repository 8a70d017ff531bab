# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of applets on a real tap: a key of their own that is worth little, a cap that holds, and an end that is one."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from gateway_process import Gateway, start, until
from postgres_server import ledger_url, postgres_ledger, postgres_server, postgres_url, sqlite_ledger, sqlite_url
from probe_applet import found, probe
from tap_house import House, Tenant

from llama_orch.applets import grants
from llama_orch.ledger.books import keys
from llama_orch.tap import routes
from llama_orch.tap.applets.offer import MOST_EACH

__all__ = ["ledger_url", "postgres_ledger", "postgres_server", "postgres_url", "sqlite_ledger", "sqlite_url"]

CHAT = "/v1/chat/completions"
ENDLESS: dict[str, Any] = {"temperature": 1, "seed": 1, "logit_bias": {"509": -100, "511": -100}}
TELL: dict[str, Any] = {"messages": [{"role": "user", "content": "Tell"}]}
LONG = TELL | ENDLESS | {"max_tokens": 4000}
Open = Callable[..., House]


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The probe, where every gateway that a test starts finds it."""
    with pytest.MonkeyPatch.context() as patch:
        probe(tmp_path_factory.mktemp("applets"), patch)
        yield


def opened(url: str, model: Path, **config: Any) -> House:
    """A tap that offers the probe."""
    models = [{"name": "tiny", "local": str(model), "context": 4096, "slots": 2}]
    return House(url, models, **{"applets": {"offered": ["probe"]}, **config})


@pytest.fixture
def open_house(tiny_gguf: Path, offered: None) -> Iterator[Open]:
    """Taps of one's own."""
    running: list[House] = []

    def begin(url: str, **config: Any) -> House:
        running.append(opened(url, tiny_gguf, **config))
        return running[-1]

    yield begin
    for one in running:
        one.end()


@pytest.fixture(scope="module")
def house(
    sqlite_ledger: Path, tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path, offered: None
) -> Iterator[House]:
    """One tap, for all tests that need none of their own; its books hold at the end."""
    path = tmp_path_factory.mktemp("runs") / "tap.db"
    path.write_bytes(sqlite_ledger.read_bytes())
    running = opened(f"sqlite:///{path}", tiny_gguf)
    yield running
    assert running.check() == []
    running.end()


@pytest.fixture
def tenant(house: House, request: pytest.FixtureRequest) -> Tenant:
    return house.tenant(request.node.name)


def run(tenant: Tenant, does: str, query: str = "", **given: Any) -> Any:
    return tenant.call("POST", f"/v1/applets/probe?model=tiny{query}", {"does": does, **given})


def began(tenant: Tenant, **given: Any) -> http.client.HTTPConnection:
    """A run that was begun and not waited for."""
    connection = tenant.house.gateway.connect()
    headers = {"content-type": "application/json", "authorization": f"Bearer {tenant.secret}"}
    connection.request("POST", "/v1/applets/probe?model=tiny", json.dumps(given), headers)
    return connection


def drop(connection: http.client.HTTPConnection) -> None:
    """Closes the socket at once, with a reset."""
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.sock.close()
    connection.close()


def rows(tenant: Tenant) -> list[dict[str, Any]]:
    """The account's runs, the oldest first."""
    with tenant.house.book.reading() as connection:
        found = connection.exec_driver_sql(f"SELECT * FROM runs WHERE account = '{tenant.account}' ORDER BY created_at")
        return [dict(row) for row in found.mappings()]


def answered(connection: http.client.HTTPConnection) -> int:
    """The status of what was begun."""
    try:
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def settled(tenant: Tenant, count: int) -> list[dict[str, Any]]:
    """The ended reservations, once there are `count` and none is open."""
    return until(
        lambda: (ended := tenant.usages()) and len(ended) >= count and not tenant.row()[1] and ended, "it is settled"
    )


def active(house: House) -> int:
    return int(house.gateway.worker_health()["active"])


def ask(url: str, key: str, method: str = "POST", path: str = CHAT) -> tuple[int, Any]:
    """One request to some address, by plain HTTP."""
    host, _, port = url.removeprefix("http://").removesuffix("/v1").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    body = json.dumps(TELL | {"model": "tiny", "max_tokens": 1}) if method == "POST" else None
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_an_applet_that_ignores_its_client_cannot_pass_the_cap(open_house: Open, ledger_url: str) -> None:
    house = open_house(ledger_url)
    tenant = house.tenant("acme")
    body = TELL | {"max_tokens": 100}
    reply = run(tenant, "ways", "&max_cost=0.0012", count=12, ways=[["POST", CHAT]], body=body)
    assert reply.status == 200, reply.body
    answers = found(reply.body)
    assert len(answers) == 12
    refused = [json.loads(text)["error"] for _, status, text in answers if status == 402]
    assert refused
    assert {status for _, status, _ in answers} <= {200, 402}
    assert {(each["code"], each["metadata"]["limit_source"]) for each in refused} == {("budget_exceeded", "run_limit")}
    (row,) = rows(tenant)
    usages = [each for each in tenant.usages() if each["run"] == row["id"]]
    cost = sum(each["cost"] for each in usages)
    assert len(usages) == 12 - len(refused)
    assert (row["most"], row["spent"], row["key"], row["applet"]) == (1200, cost, tenant.key, "probe")
    assert 0 < cost <= 1200
    assert row["ended_at"] is not None
    assert reply.json["cost"] == cost == int(reply.headers["x-orch-cost"])
    assert {each["key"] for each in usages} == {tenant.key}, "they count against the key of the caller"
    assert tenant.row() == (10_000_000 - cost, 0)
    told = tenant.call("GET", "/v1/usage?group_by=key").json["rows"]
    assert [(each["key"], each["cost"]) for each in told] == [(tenant.key, cost)]
    assert {line.get("run") for line in house.lines() if line["path"] == CHAT} == {row["id"]}
    assert house.check() == []


def test_the_key_of_a_run_opens_one_door_and_only_while_it_runs(house: House, tenant: Tenant) -> None:
    target, key, _ = found(run(tenant, "key").body)
    assert key != tenant.secret
    assert target.startswith("http://127.0.0.1:")
    assert ask(target, key)[0] == 401
    status, answer = ask(house.gateway.url, key)
    assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
    assert ask(target, tenant.secret)[0] == 401, "the door is for runs alone"
    assert ask(target, house.admin, "GET", "/admin/v1/accounts")[0] == 403
    assert tenant.secret not in json.dumps(found(run(tenant, "environment").body))
    assert tenant.usages() == []


def test_a_run_may_ask_models_and_nothing_else(house: House, tenant: Tenant) -> None:
    tenant.call("POST", "/v1/responses", {"model": "tiny", "input": "a secret", "max_output_tokens": 1, "store": True})
    ways = [
        [route.method, route.path.replace("*", "probe" if "applets" in route.path else "tiny")]
        for route in routes.TAP.all
        if route.method in ("GET", "POST", "DELETE", "PATCH")
    ]
    answers = found(run(tenant, "ways", ways=ways, body=TELL | {"max_tokens": 1}).body)
    open_ = {path for path, status, _ in answers if status != 403}
    jobs = {route.path for route in routes.TAP.all if route.job}
    assert open_ <= jobs | {"/v1/models", "/v1/models/tiny"}
    assert {"/v1/models", CHAT} <= open_
    closed = {path for path, status, _ in answers if status == 403}
    assert {"/v1/applets", "/v1/applets/probe", "/v1/credits", "/v1/usage", "/v1/key", "/v1/vouchers"} <= closed
    assert not tenant.row()[1]


def test_what_a_run_stores_is_its_own_and_goes_with_it(open_house: Open, sqlite_url: str) -> None:
    house = open_house(sqlite_url, processes=2)
    tenant = house.tenant("acme")
    body = {"model": "tiny", "input": "a secret", "max_output_tokens": 1}
    stored = tenant.call("POST", "/v1/responses", body).json["id"]
    again = {"input": "Go on", "max_output_tokens": 1, "previous_response_id": stored}
    ((_, status, text),) = found(run(tenant, "ways", ways=[["POST", "/v1/responses"]], body=again).body)
    assert (status, json.loads(text)["error"]["code"]) == (404, "previous_response_not_found")
    ((_, status, text),) = found(run(tenant, "ways", ways=[["POST", "/v1/responses"]], body=body).body)
    assert status == 200
    assert tenant.call("GET", f"/v1/responses/{json.loads(text)['id']}").status == 404
    background = body | {"background": True, "max_output_tokens": 4000, "temperature": 1}
    ((_, status, text),) = found(run(tenant, "ways", ways=[["POST", "/v1/responses"]], body=background).body)
    assert (status, json.loads(text)["background"]) == (200, True)
    settled(tenant, 3)
    assert active(house) == 0
    assert house.check() == []


def test_a_run_sees_no_file_of_the_tap_where_the_kernel_can_see_to_it(house: House, tenant: Tenant) -> None:
    seen = found(run(tenant, "files", file=str(house.folder / "gateway.log")).body)
    assert seen == (["PermissionError", "PermissionError", 0] if grants.enforced().files else [seen[0], 0, 0])


def test_no_process_serves_two_accounts(house: House) -> None:
    first, second = house.tenant("first"), house.tenant("second")
    assert found(run(first, "remember").body) == []
    assert len(found(run(first, "remember").body)) == 1, "its own process stays warm"
    assert found(run(second, "remember").body) == []


def test_revoking_the_callers_key_stops_its_runs(house: House, tenant: Tenant) -> None:
    late = tenant.another_key()
    ways = [["POST", CHAT], ["GET", "/v1/models"]]
    connection = began(
        tenant, does="wait", file=str(house.folder / "revoked"), ways=ways, body=TELL | {"max_tokens": 1}
    )
    until(lambda: rows(tenant), "it has begun")
    keys.revoke(house.book, tenant.key)
    (house.folder / "revoked").write_text("go on")
    assert answered(connection) == 200
    (row,) = rows(tenant)
    assert (row["spent"], tenant.usages()) == (0, [])
    assert run(tenant, "key").status == 401
    assert run(late, "ask").status == 200


def test_what_a_run_leaves_behind_ends_with_it(house: House, tenant: Tenant) -> None:
    gate = house.folder / "leave"
    connection = began(tenant, does="linger", file=str(gate), ways=[["POST", CHAT]], body=LONG)
    until(lambda: active(house) == 1, "it asks")
    assert rows(tenant)[0]["ended_at"] is None
    gate.write_text("go")
    assert answered(connection) == 200
    (usage,) = settled(tenant, 1)
    assert usage["outcome"] == "cancelled"
    assert rows(tenant)[0]["spent"] == usage["cost"] > 0
    assert active(house) == 0


def test_a_caller_that_goes_frees_the_model_and_is_billed_exactly(house: House, tenant: Tenant) -> None:
    connection = began(tenant, does="ways", ways=[["POST", CHAT]], count=2, body=LONG)
    until(lambda: active(house) == 2, "both run")
    before = time.monotonic()
    drop(connection)
    until(lambda: active(house) == 0, "the slots are free", seconds=10)
    freed = time.monotonic() - before
    assert freed < 10, freed
    first, second = settled(tenant, 2)
    assert {first["outcome"], second["outcome"]} == {"cancelled"}
    assert not first["partial"]
    row = until(lambda: (each := rows(tenant)[0])["ended_at"] is not None and each, "the run has ended")
    assert row["spent"] == first["cost"] + second["cost"] > 0
    line = until(
        lambda: [one for one in house.lines() if one["account"] == tenant.account and not one.get("run")],
        "it is logged",
    )[0]
    assert line["status"] == 499
    assert run(tenant, "ask").status == 200, "the process of the applet goes on"
    assert house.check() == []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_one_that_hangs_when_its_caller_goes_is_killed(house: House, tenant: Tenant) -> None:
    pid = int(str(found(run(tenant, "key").body)[2]))
    connection = began(tenant, does="hang")
    until(lambda: [one for one in house.lines() if one.get("run") == rows(tenant)[-1]["id"]], "it hangs")
    drop(connection)
    until(lambda: rows(tenant)[-1]["ended_at"] is not None, "the run has ended")
    until(lambda: not alive(pid), "its process is gone")
    assert run(tenant, "ask").status == 200


def test_a_run_has_its_time(open_house: Open, sqlite_url: str) -> None:
    house = open_house(sqlite_url, applets={"offered": ["probe"], "run_seconds": 3})
    tenant = house.tenant("acme")
    reply = run(tenant, "hang")
    assert (reply.status, reply.error["code"]) == (500, "applet_error")
    assert "within 3 s" in reply.error["message"]
    assert rows(tenant)[0]["ended_at"] is not None


def test_a_gateway_that_is_killed_leaves_no_reservation_and_a_dead_key(
    open_house: Open, ledger_url: str, tmp_path: Path
) -> None:
    house = open_house(ledger_url, limits={"lease_seconds": 2.0})
    tenant = house.tenant("acme")
    connection = began(tenant, does="ways", ways=[["POST", CHAT]], body=LONG)
    until(lambda: active(house) == 1 and tenant.row()[1], "it runs")
    (gateway,) = house.processes
    os.kill(gateway, signal.SIGKILL)
    with pytest.raises((http.client.HTTPException, OSError)):
        answered(connection)
    settled(tenant, 1)
    (row,) = rows(tenant)
    assert row["spent"] == sum(each["cost"] for each in tenant.usages())
    assert row["expires_at"] < time.time() + 700
    until(lambda: house.gateway.call("GET", "/health", key=False).status == 200, "another process serves")
    reply = until(lambda: (answer := run(tenant, "ask")).status == 200 and answer, "and runs applets")
    assert reply.json["cost"] > 0
    assert house.check() == []


def test_with_two_processes_and_tls(open_house: Open, postgres_url: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key_file = authority.issue("localhost")
    house = open_house(postgres_url, processes=2, cert=str(cert), key_file=str(key_file))
    house.gateway.cert = authority.file
    assert house.gateway.url.startswith("https://")
    tenant = house.tenant("acme")
    doors = set()
    for _ in range(12):  # whichever process takes it
        reply = run(tenant, "ask")
        assert (reply.status, reply.json["cost"] > 0) == (200, True), reply.body
        doors.add(found(run(tenant, "key").body)[0])
    assert 1 <= len(doors) <= 2
    assert all(each["spent"] <= each["most"] for each in rows(tenant))
    assert sum(each["spent"] for each in rows(tenant)) == 10_000_000 - tenant.row()[0]
    connection = began(tenant, does="ways", ways=[["POST", CHAT]], body=LONG)
    until(lambda: active(house) == 1, "it runs")
    drop(connection)
    until(lambda: active(house) == 0, "the slot is free", seconds=10)
    assert house.check() == []


def turned_away(tenant: Tenant) -> bool:
    """Whether one more run is refused; while some of the others are still on their way, it waits instead."""
    connection = began(tenant, does="key")
    connection.sock.settimeout(1)
    try:
        answer = connection.getresponse()
        answer.read()
    except TimeoutError:
        drop(connection)
        return False
    connection.close()
    return answer.status == 429 and answer.headers["retry-after"] is not None


def test_what_an_account_may_run_at_once_is_bounded(house: House, tenant: Tenant) -> None:
    waiting = [began(tenant, does="hang") for _ in range(MOST_EACH)]
    until(lambda: turned_away(tenant), "there is no room for one more")
    for each in waiting:
        drop(each)
    until(lambda: run(tenant, "key").status == 200, "there is room again")


@pytest.fixture
def served(orch_home: Path, tmp_path: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    probe(tmp_path / "applets", monkeypatch)
    gateway = start(orch_home, tiny_gguf, context=4096)
    yield gateway
    gateway.end()


def test_on_orch_serve_the_owners_key_stays_with_the_owner(served: Gateway) -> None:
    target, key, _ = found(served.call("POST", "/v1/applets/probe?model=tiny", {"does": "key"}).body)
    assert served.key is not None
    assert key != served.key
    assert ask(target, key)[0] == 401
    assert ask(served.url, key)[0] == 401
    reply = served.call("POST", "/v1/applets/probe?model=tiny", {"does": "ask"})
    assert (reply.status, reply.json["cost"]) == (200, 0), reply.body
    reply = served.call("POST", "/v1/applets/probe?model=tiny&max_cost=1", {"does": "ask"})
    assert (reply.status, reply.error["code"]) == (400, "unsupported"), "there are no prices here"
    assert served.call("POST", "/v1/applets/probe?max_cost=much", {"does": "ask"}).status == 400
    ways = [["GET", "/v1/applets"], ["POST", "/v1/applets/probe"], ["GET", "/metrics"]]
    answers = found(served.call("POST", "/v1/applets/probe?model=tiny", {"does": "ways", "ways": ways}).body)
    assert {status for _, status, _ in answers} == {403}
    connection = served.connect()
    headers = {"content-type": "application/json", "authorization": f"Bearer {served.key}"}
    body = json.dumps({"does": "ways", "ways": [["POST", CHAT]], "body": LONG})
    connection.request("POST", "/v1/applets/probe?model=tiny", body, headers)
    until(lambda: served.worker_health()["active"] == 1, "it runs")
    drop(connection)
    until(lambda: served.worker_health()["active"] == 0, "the slot is free", seconds=10)
