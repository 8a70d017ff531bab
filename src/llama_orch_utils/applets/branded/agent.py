# SPDX-License-Identifier: Apache-2.0
"""`acme-helpdesk mcp COMMAND`: one applet as a tool of any agent, over stdio, under the brand's name and logo."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from llama_orch_utils.applets.files import Files
from llama_orch_utils.applets.host import Host
from llama_orch_utils.errors import BadRequest

if TYPE_CHECKING:
    from llama_orch_utils.applets import rpc
    from llama_orch_utils.applets.branded.brand import Brand
    from llama_orch_utils.applets.schema import Runnable
    from llama_orch_utils.client.blocking import Client

FOLDER = "--folder"


class Agent(Host):
    """The host of one applet with the brand's own target, texts and words; `folders` are what its runs may read."""

    def __init__(
        self, brand: Brand, applet: Runnable, client: Client, folders: Sequence[Path], source: BinaryIO, sink: BinaryIO
    ) -> None:
        super().__init__(applet, source, sink)
        self._brand, self._client, self._folders = brand, client, tuple(folders)

    def _hello(self, params: rpc.Json) -> rpc.Json:
        brand = self._brand
        about: rpc.Json = {"name": brand.name, "title": brand.title, "version": brand.version}
        if brand.icon:
            kind = brand.icon.removeprefix("data:").partition(";")[0]
            about["icons"] = [{"src": brand.icon, "mimeType": kind, "sizes": ["any"]}]
        return {**super()._hello(params), "serverInfo": about, "instructions": "\n".join(brand.foot())}

    def _tool(self) -> rpc.Json:
        found = super()._tool()
        return {**found, "description": self._brand.own(str(found["description"])), "_meta": {}}

    def _run(self, params: rpc.Json) -> rpc.Json:
        arguments: Any = params.get("arguments") or {}
        if not isinstance(arguments, dict):
            raise BadRequest("arguments must be an object", param="/")
        made = self._applet.invoke(
            cast("rpc.Json", arguments),
            client=self._client,
            files=Files(self._folders),
            progress=self._progress(cast("rpc.Json", params.get("_meta") or {}).get("progressToken")),
            brand=self._brand.slots(),
        )
        return {"content": [{"type": "text", "text": made.text}], "structuredContent": made.output}

    def _answer(self, identity: Any, result: rpc.Json) -> None:
        if result.get("isError"):
            words = [{**each, "text": self._brand.own(str(each.get("text", "")))} for each in result["content"]]
            result = {"content": words, "isError": True}
        super()._answer(identity, result)


def serve(brand: Brand, applet: Runnable, client: Client, folders: Sequence[Path]) -> None:
    """Until the agent goes. What the applet prints goes to stderr: stdout is the agent's."""
    wire = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with wire:
        Agent(brand, applet, client, folders, sys.stdin.buffer, wire).serve()
