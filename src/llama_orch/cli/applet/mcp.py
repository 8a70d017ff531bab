# SPDX-License-Identifier: GPL-3.0-or-later
"""Applets as tools of any agent: MCP over stdio or streamable HTTP, by the official SDK."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama_orch.cli.failure import UsageError
from llama_orch.cli.run.connection import Connection, connect
from llama_orch_utils.applets import rpc
from llama_orch_utils.errors import AppletError, OrchError

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel import Server
    from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

    from llama_orch.cli.applet.command import Mcp
    from llama_orch.cli.output import Output
    from llama_orch_utils.applets.files import Files
    from llama_orch_utils.applets.schema import Runnable

INSTRUCTIONS = "Each tool is a ready-made program on a language model. Give texts as they are, not as file names."
PATH = "/mcp"


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The applets by name, what they ask, and the files that they may have."""

    applets: Mapping[str, Runnable]
    connection: Connection
    files: Files

    def call(self, name: str, arguments: Mapping[str, Any], tell: Any) -> CallToolResult:
        """One run; an error of the tree is a result that says so, as MCP wants it for tools."""
        from mcp_types import CallToolResult, TextContent

        applet = self.applets.get(name)
        try:
            if applet is None:
                raise AppletError(f"there is no tool {name!r}", hint=", ".join(self.applets))
            # One that did not ask to read is given nothing, also where others are.
            files = self.files if applet.manifest.reads else type(self.files)()
            made = applet.invoke(arguments, client=self.connection.client, files=files, progress=tell)
        except OrchError as error:
            words = error.message if error.hint is None else f"{error.message}\nhint: {error.hint}"
            told = {rpc.META: {"error": rpc.said(error)}}
            return CallToolResult(content=[TextContent(type="text", text=words)], is_error=True, _meta=told)  # pyright: ignore[reportCallIssue]
        return CallToolResult(
            content=[TextContent(type="text", text=made.text)],
            structured_content=made.output,
            _meta={rpc.META: {"cost": made.cost}},  # pyright: ignore[reportCallIssue]
        )


def serve(applets: Sequence[Runnable], options: Mcp, out: Output) -> int | None:
    """Serves the applets until the agent goes (stdio) or ^C (HTTP). What they print goes to stderr."""
    from llama_orch_utils.applets.files import Files

    if not applets:
        raise UsageError("there is no applet to serve", hint="orch applet ls")
    from importlib.util import find_spec

    if find_spec("mcp") is None:
        raise AppletError("the MCP SDK is not installed", hint="pip install 'llama-orch[applets]'")
    import anyio

    connection = connect(options, out)
    box = Toolbox({each.id: each for each in applets}, connection, Files([Path(each) for each in options.folder]))
    with connection.client:
        if options.port is None:
            anyio.run(_stdio, _server(box))
        else:
            _http(_server(box), options, out)
    return None


def _server(box: Toolbox) -> Server[Any]:
    import anyio.from_thread
    import anyio.to_thread
    from mcp.server.lowlevel import Server
    from mcp_types import ListToolsResult, Tool

    from llama_orch.cli.applet import look
    from llama_orch_utils.version import VERSION

    face = look.face_of(tuple(box.applets.values()))

    async def tools(_: ServerRequestContext[Any], __: PaginatedRequestParams | None) -> ListToolsResult:
        found = [(each.schema(), look.icons_of(each) if face is None else None) for each in box.applets.values()]
        return ListToolsResult(
            tools=[
                Tool(name=each["id"], description=each["summary"], input_schema=each["input"],
                     output_schema=each["output"], icons=icons)
                for each, icons in found
            ]
        )  # fmt: skip

    async def call(context: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        token = (context.meta or {}).get("progress_token")

        def tell(done: int, total: int, words: str) -> None:
            if token is not None:
                anyio.from_thread.run(context.session.send_progress_notification, token, done, total, words)

        return await anyio.to_thread.run_sync(box.call, params.name, params.arguments or {}, tell)

    known: dict[str, Any] = {} if face is None else {"title": face.title, "icons": face.icons}
    words = INSTRUCTIONS if face is None or not face.foot else f"{INSTRUCTIONS}\n{face.foot}"
    name = "orch" if face is None else face.name
    return Server(name, version=VERSION, instructions=words, on_list_tools=tools, on_call_tool=call, **known)


async def _stdio(server: Server[Any]) -> None:
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (read, write):
        sys.stdout = sys.stderr  # an applet that prints must not speak in MCP's place
        await server.run(read, write, server.create_initialization_options())


def _http(server: Server[Any], options: Mcp, out: Output) -> None:
    import socket

    import uvicorn

    with socket.create_server((options.host, options.port or 0)) as listener:
        port = listener.getsockname()[1]
        out.note(f"MCP at http://{options.host}:{port}{PATH}; ^C ends it")
        app = server.streamable_http_app(streamable_http_path=PATH, host=options.host, stateless_http=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])
