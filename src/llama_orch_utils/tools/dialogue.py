# SPDX-License-Identifier: Apache-2.0
"""One question and what comes of it: requests, calls of tools, their results, and the answer. Without I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llama_orch_utils.client.options import ChatOptions, Prompt, chat_fields, check_options, messages_of
from llama_orch_utils.errors import BadRequest, StepsExhausted
from llama_orch_utils.messages import Message
from llama_orch_utils.types import Answer, ToolCall, ToolResult, Usage

if TYPE_CHECKING:
    from llama_orch_utils.tools.toolbox import Toolbox

MAX_STEPS = 8
_CHOICES = ("none", "auto", "required")


class Dialogue:
    """Ask for `body`, hand the answer to `take`; if `due` holds calls then, run them, hand their results to `told`.

    Raises BadRequest, and TypeError for an option that nobody knows.
    """

    def __init__(self, prompt: Prompt, options: ChatOptions, *, streamed: bool) -> None:
        check_options(options, streamed=streamed)
        self.options = options
        self._messages = messages_of(prompt, options.get("system"))
        self._fields = chat_fields(options, streamed=streamed)
        self.toolbox = _toolbox_of(options)
        self._most = options.get("max_steps") or MAX_STEPS
        self._added: list[Message] = []
        self._usage = Usage()
        self._cost: int | None = None
        self.steps = 0
        self.due: tuple[ToolCall, ...] = ()
        if self.toolbox is not None:
            self._fields["tools"] = [dict(each) for each in self.toolbox.definitions]
        if (choice := _choice_of(options, self.toolbox)) is not None:
            self._fields["tool_choice"] = choice

    def body(self) -> dict[str, Any]:
        """The next request's body, without the model."""
        return {"messages": [*self._messages, *self._added], **self._fields}

    def take(self, answer: Answer) -> Answer:
        """The answer to the last request, with the counts and the turns of all; `due` is what is to be run now.

        Raises StepsExhausted where calls are due, and there are no more steps.
        """
        self.steps += 1
        self._usage = answer.usage if self.steps == 1 else self._usage + answer.usage
        if answer.cost is not None:
            self._cost = (self._cost or 0) + answer.cost
        self.due = self._runnable(answer)
        turn = _turn(answer)
        if self.due:
            if self.steps >= self._most:
                raise self._exhausted(answer)
            self._added.append(turn)
            self._free_choice()
        return replace(answer, usage=self._usage, cost=self._cost, messages=(*self._added, turn), steps=self.steps)

    def told(self, results: Sequence[ToolResult]) -> None:
        """What the calls gave, in their order."""
        self._added += [result.message() for result in results]
        self.due = ()

    def _runnable(self, answer: Answer) -> tuple[ToolCall, ...]:
        """The calls that we run; none of a cut answer, whose last one may be half."""
        if self.toolbox is None or not answer.tool_calls or answer.finish_reason == "length":
            return ()
        return answer.tool_calls if self.toolbox.runs(answer.tool_calls) else ()

    def _free_choice(self) -> None:
        """A call that was forced has been made: with the same choice the model could never answer."""
        if self._fields.get("tool_choice") not in (None, "none", "auto"):
            del self._fields["tool_choice"]

    def _exhausted(self, answer: Answer) -> StepsExhausted:
        names = ", ".join(call.name for call in answer.tool_calls)
        return StepsExhausted(
            f"after {self.steps} steps the model still calls tools ({names})",
            steps=self.steps,
            messages=tuple(self._added),
            hint="give more max_steps, or tools that answer the question",
            target=answer.target,
        )


def _turn(answer: Answer) -> Message:
    """The assistant's turn; thoughts stay with the calls that they led to, as models that think expect them."""
    calls = answer.tool_calls if answer.finish_reason != "length" else ()
    if not calls:
        return {"role": "assistant", "content": answer.text}
    turn: Message = {
        "role": "assistant",
        "content": answer.text or None,
        "tool_calls": [call.message() for call in calls],
    }
    if answer.reasoning:
        turn["reasoning_content"] = answer.reasoning
    return turn


def _toolbox_of(options: ChatOptions) -> Toolbox | None:
    if not (given := options.get("tools")):
        return None
    from llama_orch_utils.tools.toolbox import toolbox

    return toolbox(given, options.get("tool_errors") or "tell")


def _choice_of(options: ChatOptions, toolbox: Toolbox | None) -> Any:
    """`tool_choice` as OpenAI writes it: a tool or its name becomes the form for a named function."""
    given = options.get("tool_choice")
    if given is None or given in _CHOICES or isinstance(given, Mapping):
        return given
    name = given if isinstance(given, str) else getattr(given, "name", None) or getattr(given, "__name__", "")
    if toolbox is None or name not in toolbox.names:
        raise BadRequest(
            f"tool_choice names {name!r}, which is none of the tools",
            param="/tool_choice",
            hint="give auto, none, required, or one of the tools",
        )
    return {"type": "function", "function": {"name": name}}
