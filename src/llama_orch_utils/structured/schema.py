# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema that pydantic makes of a type, without its warnings on stderr. Imports pydantic."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind


class _Quiet(GenerateJsonSchema):
    """A default that JSON cannot express is left out: the function still has it."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as pydantic declares it


def json_schema(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    """The schema of what `adapter` reads. Raises PydanticUserError for a type that has none."""
    return adapter.json_schema(schema_generator=_Quiet)
