# SPDX-License-Identifier: Apache-2.0
"""A tool: a function that a model may call, with the JSON Schema of what it takes."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from llama_orch_utils.errors import ToolError

if TYPE_CHECKING:
    from llama_orch_utils.tools.contract import Contract

P = ParamSpec("P")
R = TypeVar("R")
# What OpenAI, Anthropic and the chat templates take as a name.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Tool(Generic[P, R]):
    """A function that a model may call; it is still the function, and can be called as ever.

    `name` and `description` are what the model sees; `parameters` is the JSON Schema of the arguments, made when it is
    first asked for. Raises ToolError for a name that no model may call.
    """

    def __init__(self, function: Callable[P, R], *, name: str | None = None, description: str | None = None) -> None:
        self.function = function
        self.name = name or getattr(function, "__name__", type(function).__name__)
        self._description = description
        self._contract: Contract | None = None
        if not callable(function):
            raise ToolError(f"{function!r} is no function", hint="give a function, a @tool, or a definition (a dict)")
        if not _NAME.fullmatch(self.name):
            raise ToolError(
                f"{self.name!r} cannot be the name of a tool",
                tool=self.name,
                hint='use letters, digits, - and _: @tool(name="…")',
            )
        functools.update_wrapper(self, function)

    @property
    def description(self) -> str:
        """What it does, for the model: as given, or the docstring without what it says of the arguments."""
        return self._description if self._description is not None else self.contract.description

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON Schema of the arguments: an object. Raises ToolError for a type that has none."""
        return self.contract.parameters

    @property
    def contract(self) -> Contract:
        """How arguments are read. Raises ToolError."""
        if self._contract is None:
            from llama_orch_utils.tools.contract import Contract

            self._contract = Contract(self.function, self.name)
        return self._contract

    def definition(self) -> dict[str, Any]:
        """As OpenAI's `tools` has it."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The function itself."""
        return self.function(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Tool[..., R]:
        """A decorated method is a tool of its instance."""
        if instance is None:
            return self
        bound = self.function.__get__(instance, owner)  # type: ignore[attr-defined] - functions have it
        return Tool(bound, name=self.name, description=self._description)

    def __repr__(self) -> str:
        return f"Tool({self.name})"


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(*, name: str | None = None, description: str | None = None) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(
    function: Callable[..., Any] | None = None, /, *, name: str | None = None, description: str | None = None
) -> Any:
    """Make a function a tool: `@tool`, or `@tool(name=…, description=…)`.

    Its annotations give the JSON Schema, through pydantic: `Annotated[int, Field(ge=1)]` and models work. Its docstring
    is the description, with what it says of each argument (Google's, NumPy's and Sphinx's form). It may be async.
    """
    if function is None:
        return functools.partial(Tool[..., Any], name=name, description=description)
    return Tool[..., Any](function)
