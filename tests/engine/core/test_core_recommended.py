# SPDX-License-Identifier: GPL-3.0-or-later
"""A model's own advice about sampling is followed, and only believed as far as it makes sense."""

from __future__ import annotations

import pytest

from llama_orch.engine.recommended import recommended_sampling
from llama_orch.engine.records import Sampling


def test_a_model_without_advice_gets_the_defaults() -> None:
    assert recommended_sampling(lambda _key: None) == Sampling()


def test_the_advice_of_a_file_is_followed() -> None:
    said = {
        "general.sampling.temp": "0.000000",
        "general.sampling.top_k": "20",
        "general.sampling.penalty_repeat": "1.1",
    }
    assert recommended_sampling(said.get) == Sampling(temperature=0.0, top_k=20, repeat_penalty=1.1)


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "abc", "", "1e99"])
def test_nonsense_is_left_aside(value: str) -> None:
    assert recommended_sampling(lambda _key: value).temperature == Sampling().temperature
