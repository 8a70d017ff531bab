# SPDX-License-Identifier: GPL-3.0-or-later
"""The Grafana dashboard: Grafana's own schema takes it whole, and a tap has every metric that it asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from environments import ROOT
from gateway_process import until
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from openai_server import OpenAiServer
from operator_tap import OperatorTap

from llama_orch.ledger.books import accounts, grants, keys, prices
from llama_orch.tap.config.record import UpstreamSpec
from llama_orch.tap.config.writing import add_local, add_upstream

FILE = ROOT / "docs" / "grafana" / "llama-orch-tap.json"
METRIC = re.compile(r"\b(?:gen_ai|llama_orch)_[a-z_]+(?={)")
PAGE = ROOT / "docs" / "how-to" / "tap" / "monitoring.md"


def lost(given: Any, kept: Any, place: str = "") -> Iterator[str]:
    """What the schema did not take, by its place."""
    if isinstance(given, dict):
        for name, value in given.items():
            if name not in kept:
                yield f"{place}/{name}"
            else:
                yield from lost(value, kept[name], f"{place}/{name}")
    elif isinstance(given, list):
        for number, value in enumerate(given):
            yield from lost(value, kept[number], f"{place}/{number}")
    elif given != kept:
        yield f"{place}: {given!r} became {kept!r}"


def test_grafanas_schema_takes_all_of_it() -> None:
    register_default_plugins()
    given = json.loads(FILE.read_text())
    kept = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(given)))
    assert list(lost(given, kept)) == []
    panels = given["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for target in panel.get("targets", []):
            assert target["expr"].count("(") == target["expr"].count(")")
            assert target["datasource"]["uid"] == "${datasource}"


@pytest.fixture
def tap(orch_home: Path, tmp_path: Path) -> Iterator[OperatorTap]:
    made = OperatorTap(orch_home, tmp_path / "tap")
    yield made
    made.end()


def test_every_metric_is_one_that_a_tap_has(tap: OperatorTap) -> None:
    with OpenAiServer() as server:
        with tap.found() as book:
            prices.add(book, "*", prices.Figures(input=1, output=1))
            _, key = keys.add(book, accounts.add(book, "acme").id)
            grants.add(book, "acme", grants.Gift(amount=1_000_000))
        add_upstream(tap.folder, "m", UpstreamSpec("x", server.url))
        add_local(tap.folder, "orch-demo", "orch-demo")
        gateway = tap.serve("--processes", "1")
        for model in ("m", "orch-demo"):
            body = {"model": model, "messages": [{"role": "user", "content": "tokens=2"}], "max_tokens": 2}
            headers = {"authorization": f"Bearer {key}"}
            assert gateway.call("POST", "/v1/chat/completions", body, headers, key=False).status == 200

        def metrics() -> str:
            return gateway.call("GET", "/metrics", None, {"x-api-key": tap.admin_key}, key=False).body.decode()

        until(lambda: "llama_orch_charged_microeuros_total{" in metrics(), "the charge")
        exposed = metrics()
    names = set(re.findall(r"^([a-z_]+)(?:\{[^\n]*\})? ", exposed, re.MULTILINE))
    dashboard = json.loads(FILE.read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    wanted = {name for query in queries for name in METRIC.findall(query)}
    assert len(wanted) > 10
    assert wanted - names == set()
    told = set(re.findall(r"`((?:gen_ai|llama_orch)_[a-z_]+)`", PAGE.read_text()))
    assert {name for name in told if name not in names and f"{name}_bucket" not in names} == set()
    assert key not in exposed
    assert "acme" not in exposed
