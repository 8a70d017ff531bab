# SPDX-License-Identifier: Apache-2.0
"""The tools of one call: what the target is told of them, and their runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from llama_orch_utils.errors import BadRequest, ToolError
from llama_orch_utils.secrets.scrubbing import scrubbed
from llama_orch_utils.tools.definition import Tool
from llama_orch_utils.types import ToolCall, ToolResult

# What of an error's words the model is told.
MOST_ERROR_CHARACTERS = 1000

AnyTool = Tool[..., Any] | Callable[..., Any] | Mapping[str, Any]
ToolErrors = Literal["tell", "raise"]


@dataclass(frozen=True, slots=True)
class Toolbox:
    """`definitions` in the order given; `tools` those that we run, by name.

    `errors` says what becomes of a tool's failure: `tell` gives its words to the model, `raise` raises ToolError.
    """

    definitions: tuple[Mapping[str, Any], ...]
    tools: Mapping[str, Tool[..., Any]]
    errors: ToolErrors = "tell"

    @property
    def names(self) -> list[str]:
        """The names of all."""
        return [_name_of(each) for each in self.definitions]

    def runs(self, calls: Sequence[ToolCall]) -> bool:
        """Whether we answer `calls`: not if one of them is for a plain definition, as the others then wait for it."""
        plain = set(self.names) - set(self.tools)
        return bool(self.tools) and not any(call.name in plain for call in calls)

    def run(self, call: ToolCall, secret: str = "") -> ToolResult:
        """Run `call` in this thread; a coroutine in a loop of its own. Raises ToolError where failures are raised."""
        try:
            value = self._begun(call)
            return ToolResult(call, _text_of(_finished(value) if inspect.iscoroutine(value) else value))
        except Exception as error:  # noqa: BLE001 - foreign code raises anything; the model or the caller is told
            return self._failed(call, error, secret)

    async def arun(self, call: ToolCall, secret: str = "") -> ToolResult:
        """Run `call`: a coroutine here, a function in a thread."""
        import asyncio

        tool = self.tools.get(call.name)
        if tool is None or not inspect.iscoroutinefunction(inspect.unwrap(tool.function)):
            return await asyncio.to_thread(self.run, call, secret)
        try:
            return ToolResult(call, _text_of(await self._begun(call)))
        except Exception as error:  # noqa: BLE001 - as in `run`
            return self._failed(call, error, secret)

    def _begun(self, call: ToolCall) -> Any:
        tool = self.tools.get(call.name)
        if tool is None:
            raise ToolError(f"there is no tool {call.name!r}; there are: {', '.join(self.names)}", tool=call.name)
        return tool.function(**tool.contract.read(call.arguments))

    def _failed(self, call: ToolCall, error: Exception, secret: str) -> ToolResult:
        from llama_orch_utils.tools.contract import Misfit

        told = [] if isinstance(error, (ToolError, Misfit)) else [type(error).__name__]
        words = scrubbed(": ".join([*told, str(error)] if str(error) else told), secret)[:MOST_ERROR_CHARACTERS]
        if self.errors == "raise":
            hint = error.hint if isinstance(error, ToolError) else None
            raise ToolError(f"the tool {call.name} failed: {words}", tool=call.name, hint=hint) from error
        return ToolResult(call, f"error: {words}", failed=True)


def toolbox(given: Sequence[AnyTool], errors: ToolErrors = "tell") -> Toolbox:
    """The tools that `given` holds: functions, `@tool`s, and plain definitions (dicts), which are not run.

    Raises BadRequest for two of one name and for an odd definition, ToolError for what cannot be a tool.
    """
    if callable(given) or isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise BadRequest("tools is no list", param="/tools", hint="give a list: tools=[function]")
    tools: dict[str, Tool[..., Any]] = {}
    definitions: list[Mapping[str, Any]] = []
    names: set[str] = set()
    for place, each in enumerate(given):
        if isinstance(each, Mapping):
            definitions.append(cast("Mapping[str, Any]", each))
        else:
            made = cast("Tool[..., Any]", each) if isinstance(each, Tool) else Tool(each)
            tools[made.name] = made
            definitions.append(made.definition())
        name = _name_of(definitions[-1])
        if not name or name in names:
            words = f"two tools are called {name}" if name else f"tool {place} is no definition of a function"
            raise BadRequest(
                words,
                param=f"/tools/{place}",
                hint='{"type": "function", "function": {"name": …, "parameters": {…}}}, each name once',
            )
        names.add(name)
    if errors not in ("tell", "raise"):
        raise BadRequest("tool_errors is tell or raise", param="/tool_errors", hint='tool_errors="tell"')
    return Toolbox(tuple(definitions), tools, errors)


def _name_of(definition: Mapping[str, Any]) -> str:
    function = definition.get("function")
    name = cast("Mapping[str, Any]", function).get("name") if isinstance(function, Mapping) else None
    return name if isinstance(name, str) else ""


def _text_of(value: object) -> str:
    """The result as text that a request can carry: without halves of surrogate pairs."""
    if not isinstance(value, str):
        from llama_orch_utils.tools.contract import text_of

        return text_of(value)
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _finished(work: Coroutine[Any, Any, Any]) -> Any:
    """The coroutine's result, from a loop in a thread of its own: the caller's thread may have one that runs."""
    import asyncio
    import concurrent.futures
    import contextvars

    context = contextvars.copy_context()
    with concurrent.futures.ThreadPoolExecutor(1, "orch-tool") as thread:
        return thread.submit(context.run, asyncio.run, work).result()
