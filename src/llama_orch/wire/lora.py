# SPDX-License-Identifier: GPL-3.0-or-later
"""`lora`: the scales of the adapters that the model was loaded with, as llama.cpp's server takes them."""

from __future__ import annotations

from llama_orch.wire.fields import Fields, kind
from llama_orch.wire.shapes import Schema, array, integer, number, request_object
from llama_orch_utils.errors import BadRequest

MOST = 64
STRONGEST = 100.0

_ADAPTER = request_object({"id": integer(0, MOST - 1), "scale": number(-STRONGEST, STRONGEST)}, {})
ADAPTERS: Schema = array(_ADAPTER, most=MOST)
"""The schema of the field."""


def read_adapters(fields: Fields) -> dict[int, float] | None:
    """Scales by the adapter's number, counted in the order of loading; None: as they were loaded.

    Those that are not named have the scale 0. Raises BadRequest with the JSON pointer.
    """
    items = fields.array("lora", most=MOST)
    if items is None:
        return None
    found: dict[int, float] = {}
    for index, item in enumerate(items):
        where = f"{fields.at('lora')}/{index}"
        if not isinstance(item, dict):
            raise BadRequest(f"an adapter is an object, not {kind(item)}", param=where)
        one = Fields(item, where)
        number_of, scale = one.integer("id", 0, MOST - 1), one.number("scale", -STRONGEST, STRONGEST)
        if number_of is None or scale is None:
            raise BadRequest("an adapter needs its id and a scale", param=where, hint='send {"id": 0, "scale": 1.0}')
        if number_of in found:
            raise BadRequest(f"adapter {number_of} is named twice", param=where)
        one.refuse_rest()
        found[number_of] = scale
    return found
