# SPDX-License-Identifier: GPL-3.0-or-later
"""`brief`: from a page or notes to the plan of a piece."""

from __future__ import annotations

from pathlib import Path

import pytest

from llama_orch_applet_brief import brief
from llama_orch_utils import Client
from llama_orch_utils.applets import Files
from llama_orch_utils.errors import BadRequest
from llama_orch_utils.testing import FakeTap

PAGE = Path(__file__).parents[2] / "applets" / "brief" / "samples" / "page.html"
PLAN = {
    "title": "Bread that keeps",
    "audience": "Owners of restaurants",
    "angle": "Waste",
    "outline": [{"heading": "A fifth", "points": ["is thrown away", "every day"]}],
    "keywords": ["sourdough", "waste"],
    "questions": ["Does it freeze?"],
}
GOLDEN = """# Bread that keeps

**Audience:** Owners of restaurants

**Angle:** Waste

## Outline

### A fifth

- is thrown away
- every day

## Keywords

sourdough, waste

## Questions

- Does it freeze?"""


def test_a_page_becomes_a_plan(orch_home: Path) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        tap.json(PLAN)
        found = brief({"page": PAGE, "audience": "chefs", "language": "Dutch"}, client=client, files=Files([PAGE]))
        assert found.model_dump() == PLAN
        assert str(found) == GOLDEN
        prompt = tap.asked[-1].messages[-1]["content"]
        assert "Restaurants throw away a fifth of their bread." in prompt
        assert "never read" not in prompt
        assert "It is for chefs. Write it in Dutch." in prompt


def test_no_material_is_an_error(orch_home: Path) -> None:
    with FakeTap() as tap, Client(tap.url) as client, pytest.raises(BadRequest, match="no document"):
        brief({"text": " "}, client=client)
