# SPDX-License-Identifier: GPL-3.0-or-later
"""The field `model`: every dialect's parser, every dialect's schema and the gateway take the same names."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import jsonschema
import pytest

from llama_orch.tap.wanted import model_of
from llama_orch.wire import routes
from llama_orch.wire.model_name import MAX_NAME
from llama_orch_utils.errors import BadRequest

CHAT = {"messages": [{"role": "user", "content": "hi"}]}
BODIES: list[tuple[str, str, dict[str, Any]]] = [
    ("chat_completions:DIALECT", "REQUEST", CHAT),
    ("apply_template:DIALECT", "REQUEST", CHAT),
    ("completions:DIALECT", "REQUEST", {"prompt": "a"}),
    ("responses:DIALECT", "REQUEST", {"input": "a"}),
    ("messages:DIALECT", "REQUEST", CHAT | {"max_tokens": 1}),
    ("messages:COUNT", "COUNT_REQUEST", CHAT),
    ("embeddings:DIALECT", "REQUEST", {"input": "a"}),
    ("rerank:DIALECT", "REQUEST", {"query": "a", "documents": ["b"]}),
    ("tokenize:DIALECT", "REQUEST", {"content": "a"}),
    ("detokenize:DIALECT", "REQUEST", {"tokens": [1]}),
    ("ollama_chat:DIALECT", "REQUEST", CHAT),
    ("ollama_generate:DIALECT", "REQUEST", {"prompt": "a"}),
    ("ollama_embed:DIALECT", "REQUEST", {"input": "a"}),
    ("ollama_embed:LEGACY", "LEGACY_REQUEST", {"prompt": "a"}),
]


@pytest.mark.parametrize(("dialect", "schema", "body"), BODIES)
def test_a_model_has_1_to_512_characters(dialect: str, schema: str, body: dict[str, Any]) -> None:
    parse = routes.load(f"llama_orch.wire.{dialect}").parse
    module = import_module(f"llama_orch.wire.{dialect.partition(':')[0]}.schema")
    validator = jsonschema.Draft202012Validator(getattr(module, schema))
    for name, fits in (("m", True), ("é" * MAX_NAME, True), ("", False), ("m" * (MAX_NAME + 1), False), (7, False)):
        asked = body | {"model": name}
        sent = json.dumps(asked).encode()
        assert validator.is_valid(asked) is fits, name
        if fits:
            assert parse(sent).model == model_of(sent) == name
            continue
        for refuse in (parse, model_of):
            with pytest.raises(BadRequest) as caught:
                refuse(sent)
            assert caught.value.param == "/model"
