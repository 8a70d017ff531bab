# SPDX-License-Identifier: Apache-2.0
"""What a call may take besides the prompt, and the request that comes of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from llama_orch_utils.errors import BadRequest
from llama_orch_utils.messages import Message
from llama_orch_utils.transport.clock import Timeouts

if TYPE_CHECKING:
    from llama_orch_utils.tools.definition import Tool
    from llama_orch_utils.tools.toolbox import AnyTool, ToolErrors

Prompt = str | Sequence[Message]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]


class ChatOptions(TypedDict, total=False):
    """The options of `chat` and `stream`, named as OpenAI names them; None is the target's default.

    `system` goes before the messages; `timeout` is seconds for the whole call, or Timeouts; `extra` holds further
    fields of the request's body, sent as they are.

    `tools` are functions, `@tool`s, or plain definitions. The former are run when the model calls them, and what they
    give goes back to it, until it answers or `max_steps` requests were made (8; then StepsExhausted). `tool_choice`
    (none, auto, required, a tool or its name) counts until a call was made. `tool_errors`: `tell` gives the words of
    a tool's failure to the model, `raise` raises them as ToolError.
    """

    model: str | None
    system: str | None
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    stop: str | Sequence[str] | None
    seed: int | None
    frequency_penalty: float | None
    presence_penalty: float | None
    logit_bias: Mapping[int, float] | None
    logprobs: bool | None
    top_logprobs: int | None
    response_format: Mapping[str, Any] | None
    reasoning_effort: Effort | None
    tools: Sequence[AnyTool] | None
    tool_choice: str | Tool[..., Any] | Mapping[str, Any] | None
    parallel_tool_calls: bool | None
    max_steps: int | None
    tool_errors: ToolErrors | None
    timeout: float | Timeouts | None
    extra: Mapping[str, Any] | None


# What is not sent, or not as it is given.
_OURS_ALONE = frozenset({"model", "system", "timeout", "extra", "tools", "tool_choice", "max_steps", "tool_errors"})
_KNOWN = frozenset(ChatOptions.__annotations__)
# Fields that this package decides; `extra` may not contradict it.
_OURS = frozenset({"messages", "stream", "stream_options", "model"})


def messages_of(prompt: Prompt, system: str | None = None) -> list[Message]:
    """The messages that `prompt` and `system` stand for. Raises BadRequest for an empty or odd one."""
    if isinstance(prompt, str):
        if not prompt.strip():
            raise BadRequest("the prompt is empty", param="/messages", hint="give some text")
        messages: list[Message] = [{"role": "user", "content": prompt}]
    else:
        if not isinstance(prompt, Iterable) or isinstance(prompt, (bytes, Mapping)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise BadRequest(
                f"the prompt is {type(prompt).__name__}, not a text or a list of messages",
                param="/messages",
                hint="give a text, or a list of messages",
            )
        messages = list(prompt)
        for number, message in enumerate(cast("list[object]", messages)):
            if not isinstance(message, Mapping) or "role" not in message:
                raise BadRequest(
                    f"message {number} is no message",
                    param=f"/messages/{number}",
                    hint='give {"role": "user", "content": "…"}',
                )
        if not messages:
            raise BadRequest("there are no messages", param="/messages", hint="give at least one")
    return [{"role": "system", "content": system}, *messages] if system else messages


def check_options(options: ChatOptions, *, streamed: bool) -> None:
    """Raises BadRequest for what cannot be asked, and TypeError for an option that nobody knows."""
    if unknown := sorted(set(options) - _KNOWN):
        raise TypeError(f"unknown option {unknown[0]!r}: what the target knows beyond these goes into extra={{…}}")
    extra = options.get("extra") or {}
    given = {name for name, value in options.items() if value is not None}
    if taken := sorted((_OURS | (given - {"extra"})) & set(extra)):
        raise BadRequest(
            f"extra holds {taken[0]!r}, which has an argument of its own",
            param=f"/{taken[0]}",
            hint=f"give {taken[0]} as an argument",
        )
    if streamed and extra.get("n") not in (None, 1):
        raise BadRequest("a stream carries one answer, not n", param="/n", hint="use chat(), and read answer.raw")
    steps = options.get("max_steps")
    if steps is not None and steps < 1:
        raise BadRequest(f"max_steps is {steps}; one is the least", param="/max_steps", hint="max_steps=4")


def chat_fields(options: ChatOptions, *, streamed: bool) -> dict[str, Any]:
    """The request's body, without the model, the messages and the tools."""
    body = {name: value for name, value in options.items() if value is not None and name not in _OURS_ALONE}
    if streamed:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    body.update(options.get("extra") or {})
    return body


def encoded(body: Mapping[str, Any]) -> bytes:
    """The body as JSON. Raises BadRequest for what JSON or UTF-8 cannot express."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise BadRequest(
            "the request holds half of a surrogate pair, which is no text", hint="decode the input as UTF-8"
        ) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequest(f"the request cannot be written as JSON: {error}", hint="look at the options") from error


def timeouts_of(given: float | Timeouts | None, default: Timeouts) -> Timeouts:
    """The limits of one call: `given` whole, or as its `total`."""
    if given is None:
        return default
    if isinstance(given, Timeouts):
        return given
    return Timeouts(default.connect, default.first_token, default.between_tokens, float(given))
