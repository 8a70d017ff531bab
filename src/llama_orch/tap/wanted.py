# SPDX-License-Identifier: GPL-3.0-or-later
"""A request body as the gateway reads it: once, and mostly for the model that it asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from llama_orch.wire import json_body
from llama_orch_utils.errors import BadRequest

_LONGEST = 512
_LARGE = 1024 * 1024
_MOST_CONTAINERS = 500_000
"""16 MB of empty lists would take a second and 400 MB to parse, and everybody's streams would wait for it."""


def model_of(body: bytes) -> str | None:
    """The `model` of a body; None where it names none. Raises BadRequest for what is no JSON object."""
    return name_in(document_of(body))


def document_of(body: bytes) -> Mapping[str, object]:
    """The body parsed. Raises BadRequest for what is no JSON object.

    What else may be wrong (keys given twice, half a surrogate pair) is the worker's to refuse: it reads all of it.
    """
    if len(body) > _LARGE and body.count(b"[") + body.count(b"{") > _MOST_CONTAINERS:
        raise BadRequest(f"the body holds more than {_MOST_CONTAINERS} objects and lists", code="request_too_complex")
    try:
        found: object = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        json_body.parse(body)  # says in words what is wrong
        raise
    if not isinstance(found, dict):
        raise BadRequest("the body is JSON, but not an object", code="invalid_json")
    return cast("dict[str, object]", found)


def name_in(document: Mapping[str, object]) -> str | None:
    """The name of the model that a parsed body asks for. Raises BadRequest for what is no name."""
    name = document.get("model")
    if name is None:
        return None
    if not isinstance(name, str):
        raise BadRequest("model must be a string", param="/model")
    if not name or len(name) > _LONGEST:
        raise BadRequest(f"model must have 1 to {_LONGEST} characters", param="/model")
    return name
