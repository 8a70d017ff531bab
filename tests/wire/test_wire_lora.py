# SPDX-License-Identifier: GPL-3.0-or-later
"""The field `lora` of chat completions and completions."""

from __future__ import annotations

import json

import pytest

from llama_orch.wire.chat_completions.request import parse as parse_chat
from llama_orch.wire.completions.request import parse as parse_completion
from llama_orch_utils.errors import BadRequest


def chat(lora: object) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": "Hi"}], "lora": lora}).encode()


def test_scales_by_number() -> None:
    assert parse_chat(chat([{"id": 1, "scale": 0.5}, {"id": 0, "scale": -1}])).adapters == {1: 0.5, 0: -1.0}
    assert parse_chat(chat([])).adapters == {}
    assert parse_chat(chat(None)).adapters is None
    body = json.dumps({"prompt": "Hi", "lora": [{"id": 0, "scale": 1}]}).encode()
    assert parse_completion(body).adapters == {0: 1.0}


@pytest.mark.parametrize(
    ("lora", "where"),
    [
        ({"id": 0, "scale": 1}, "/lora"),
        ([1], "/lora/0"),
        ([{"id": 0}], "/lora/0"),
        ([{"id": 0, "scale": 1}, {"id": 0, "scale": 2}], "/lora/1"),
        ([{"id": -1, "scale": 1}], "/lora/0/id"),
        ([{"id": 0, "scale": 1000}], "/lora/0/scale"),
        ([{"id": 0, "scale": 1, "path": "/etc/passwd"}], "/lora/0/path"),
    ],
)
def test_what_is_no_adapter(lora: object, where: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_chat(chat(lora))
    assert caught.value.param == where
