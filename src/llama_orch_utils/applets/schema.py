# SPDX-License-Identifier: Apache-2.0
"""The structured face: JSON Schemas, short enough to be put before a model."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from llama_orch_utils.applets.applet import Made
    from llama_orch_utils.applets.files import Files
    from llama_orch_utils.applets.manifest import Manifest
    from llama_orch_utils.client.blocking import Client

MOST_BYTES = 16 * 1024
"""What the schemas of all ready-made applets together may take."""


class Runnable(Protocol):
    """An applet, in this process or in one of its own."""

    @property
    def id(self) -> str:
        """Its name."""
        ...

    @property
    def manifest(self) -> Manifest:
        """What it is, and may touch."""
        ...

    def schema(self) -> dict[str, Any]:
        """`id`, `summary`, `input`, `output`."""
        ...

    def invoke(
        self,
        given: Any,
        *,
        client: Client,
        files: Files | None = None,
        progress: Any = ...,
        brand: Any = None,
        max_cost: int | None = None,
        repeat: str | None = None,
    ) -> Made:
        """One run. Raises the errors of the one tree."""
        ...


def schema(applet: Runnable) -> dict[str, Any]:
    """`{id, summary, input, output}` of one applet; `input` and `output` are JSON Schemas (2020-12)."""
    return applet.schema()


def schemas(applets: Iterable[Runnable]) -> list[dict[str, Any]]:
    """Those of many, in their order."""
    return [schema(each) for each in applets]


def size(schemas: list[dict[str, Any]]) -> int:
    """Bytes, as an agent is sent them."""
    return len(json.dumps(schemas, separators=(",", ":"), ensure_ascii=False).encode())


def shortened(raw: Any) -> Any:
    """A schema without the titles that pydantic makes of names, and without the docstrings of inner models."""
    if isinstance(raw, list):
        return [shortened(each) for each in cast("list[Any]", raw)]
    if not isinstance(raw, dict):
        return raw
    found: dict[str, Any] = {}
    for name, value in cast("dict[str, Any]", raw).items():
        if name == "title" and isinstance(value, str):
            continue
        inner = name in {"properties", "$defs"} and isinstance(value, dict)
        found[name] = (
            {each: shortened(of) for each, of in cast("dict[str, Any]", value).items()} if inner else shortened(value)
        )
    return found
