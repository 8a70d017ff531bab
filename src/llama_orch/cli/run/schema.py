# SPDX-License-Identifier: GPL-3.0-or-later
"""`--schema`: a JSON Schema from a file or from the command line, as a response format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from llama_orch.cli.failure import UsageError

_HINT = """orch run --schema '{"type": "object", "properties": {"name": {"type": "string"}}}' 'Name a bird'"""


def response_format(given: str) -> dict[str, Any]:
    """The response format that asks for an answer by the schema in the text or the file `given`. Raises UsageError."""
    place = "--schema"
    text = given
    if not given.lstrip().startswith("{"):
        place = given
        try:
            text = Path(given).read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot read the schema {given}: {error.strerror}", hint=_HINT) from error
        except UnicodeDecodeError as error:
            raise UsageError(f"the schema {given} is not UTF-8 text", hint=_HINT) from error
    try:
        schema: object = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"{place} is no JSON: {where}: {error.msg}", hint=_HINT) from error
    except RecursionError as error:
        raise UsageError(f"{place} is nested too deeply", hint=_HINT) from error
    if not isinstance(schema, dict):
        raise UsageError(f"{place} is no JSON object", hint=_HINT)
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": cast("dict[str, Any]", schema)},
    }
