# SPDX-License-Identifier: GPL-3.0-or-later
"""`extract`: documents to a table, by columns that the user names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llama_orch_applet_extract import extract
from llama_orch_applet_extract.columns import columns_of, shape_of
from llama_orch_utils import Client
from llama_orch_utils.applets import Files
from llama_orch_utils.errors import BadRequest
from llama_orch_utils.testing import FakeTap

SAMPLES = Path(__file__).parents[2] / "applets" / "extract" / "samples"
COLUMNS = (SAMPLES / "columns.json").read_text()


def test_a_folder_becomes_a_table(orch_home: Path) -> None:
    folder = SAMPLES / "invoices"
    with FakeTap() as tap, Client(tap.url) as client:
        tap.json({"rows": [{"vendor": "Acme Ltd", "number": "2026-117", "total": 119.5}]})
        tap.json({"rows": [{"vendor": "=HYPERLINK(1)", "number": None, "total": 9999}]})
        table = extract({"documents": folder, "columns": COLUMNS}, client=client, files=Files([folder]))
        assert table.csv == (
            "vendor,number,total,source\r\nAcme Ltd,2026-117,119.5,acme.txt\r\n'=HYPERLINK(1),,9999.0,berg.txt\r\n"
        )
        assert [row.unproven for row in table.rows] == [[], ["vendor", "total"]]
        schema = tap.asked[-1].json["response_format"]["json_schema"]["schema"]
        row = schema["$defs"]["Row"]["properties"]
        assert list(row) == ["vendor", "number", "total"]
        assert {"type": "null"} in row["total"]["anyOf"]


def test_many_rows_of_one_document_and_none(orch_home: Path) -> None:
    rows = [{"item": "Grinding discs", "kind": "part"}, {"item": "Descaling set", "kind": "part"}]
    columns = json.dumps({"properties": {"item": {"type": "string"}, "kind": {"enum": ["part", "work"]}}})
    text = (SAMPLES / "invoices" / "acme.txt").read_text()
    with FakeTap() as tap, Client(tap.url) as client:
        tap.json({"rows": [*rows, {"item": None, "kind": None}]}).json({"rows": []}).json({"rows": rows})
        many = {"text": text, "columns": columns, "many": True}
        assert [each.cells for each in extract(many, client=client).rows] == rows
        assert extract(many, client=client).rows == []
        assert [each.cells for each in extract({**many, "many": False}, client=client).rows] == rows[:1]


@pytest.mark.parametrize(
    ("columns", "pointer"),
    [
        ("name, ;", "/;"),
        ("name widget", "/name"),
        ('{"type": "array"}', "/columns/properties"),
        ('{"properties": {}}', "/columns/properties"),
        ('{"properties": {"a": {"type": "object"}}}', "/columns/properties/a/type"),
        ('{"properties": {"a/b": {"type": "string", "pattern": "x"}}}', "/columns/properties/a~1b/pattern"),
        ('{"properties": {"a": {"enum": [1]}}}', "/columns/properties/a/enum"),
        ('{"properties": {"a": 3}}', "/columns/properties/a"),
        ('{"properties": {"a": {"type": "string", "maxLength": "9"}}}', "/columns/properties/a/maxLength"),
        ('{"properties": ', "/columns"),
        ("", "/columns"),
        (json.dumps({"properties": {f"c{at}": {} for at in range(61)}}), "/columns/properties"),
    ],
)
def test_what_cannot_be_columns_is_named_before_anything_is_asked(orch_home: Path, columns: str, pointer: str) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        with pytest.raises(BadRequest) as caught:
            extract({"text": "x", "columns": columns}, client=client)
        assert caught.value.param == pointer
        assert caught.value.hint
        assert not [each for each in tap.asked if each.path.endswith("completions")]


def test_any_name_can_be_a_column() -> None:
    names = ["class", "model_config", "Größe (cm)", "__x", "a b", "rows", "c0"]
    raw: dict[str, Any] = {"properties": {name: {"type": "string"} for name in names}}
    shape = shape_of(columns_of(json.dumps(raw)))
    row = dict.fromkeys(names, "v")
    assert shape.model_validate({"rows": [row]}).model_dump(by_alias=True) == {"rows": [row]}
