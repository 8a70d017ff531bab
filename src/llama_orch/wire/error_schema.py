# SPDX-License-Identifier: GPL-3.0-or-later
"""The error envelope as JSON Schema, with the data that some errors carry."""

from __future__ import annotations

from llama_orch.wire.shapes import NULL, TEXT, Schema, answer_object, any_of, array, enum

_NUMBER: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer"}
_MAYBE = any_of(TEXT, NULL)
_DATA: dict[str, Schema] = {
    "limit": _COUNT,
    "asked": _COUNT,
    "capability": TEXT,
    "near_misses": array(TEXT),
    "retry_after": _NUMBER,
    "balance": _COUNT,
    "affordable_max_tokens": _COUNT,
    "limit_source": TEXT,
    "metadata": answer_object(
        {
            "limit_source": any_of(TEXT, NULL),
            "balance": any_of(_COUNT, NULL),
            "affordable_max_tokens": any_of(_COUNT, NULL),
        }
    ),
    "phase": TEXT,
    "seconds": _NUMBER,
}
_TYPES = enum(
    "authentication_error",
    "insufficient_quota",
    "invalid_request_error",
    "not_found_error",
    "permission_error",
    "rate_limit_error",
    "server_error",
)
ERROR: Schema = answer_object(
    {
        "error": answer_object(
            {"message": TEXT, "type": _TYPES, "param": _MAYBE, "code": TEXT, "hint": _MAYBE, **_DATA},
            optional=tuple(_DATA),
        )
    }
)
