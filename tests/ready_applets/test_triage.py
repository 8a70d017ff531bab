# SPDX-License-Identifier: GPL-3.0-or-later
"""`triage`: a ticket in, five words out."""

from __future__ import annotations

from pathlib import Path

import pytest

from llama_orch_applet_triage import Ticket, Triage, triage
from llama_orch_utils import Client
from llama_orch_utils.errors import BadRequest, InvalidAnswer
from llama_orch_utils.testing import FakeTap

SORTED = {"category": "billing", "priority": "high", "sentiment": "unhappy", "language": "en", "team": "billing"}


def test_a_ticket_is_sorted(orch_home: Path) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        tap.json(SORTED)
        found = triage(Ticket(subject="Charged twice", body="Invoice 4411 {twice}"), client=client)
        assert found == Triage(**SORTED)
        asked = tap.asked[-1]
        assert "Charged twice" in asked.messages[-1]["content"]
        assert "Invoice 4411 {twice}" in asked.messages[-1]["content"]
        schema = asked.json["response_format"]["json_schema"]["schema"]
        assert schema["properties"]["team"]["enum"] == ["support", "billing", "sales", "engineering"]


def test_your_own_teams_are_the_only_ones(orch_home: Path) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        tap.json({**SORTED, "team": "billing"}).json({**SORTED, "team": "North"})
        assert triage({"body": "x", "teams": "North, South,, North"}, client=client).team == "North"
        assert "billing" in str(tap.asked[-1].messages)  # the repair names what was wrong
        tap.json(SORTED).json(SORTED)
        with pytest.raises(InvalidAnswer):
            triage({"body": "x", "teams": "North"}, client=client)


@pytest.mark.parametrize("given", [{}, {"body": "  "}, {"body": "x", "teams": " , "}, {"body": 3}])
def test_what_is_no_ticket_costs_nothing(orch_home: Path, given: dict[str, object]) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        with pytest.raises(BadRequest):
            triage(given, client=client)
        assert not [each for each in tap.asked if each.path.endswith("completions")]
