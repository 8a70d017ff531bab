# SPDX-License-Identifier: Apache-2.0
"""What a call may take besides the prompt, and the request that comes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, cast

from llama_orch_utils.errors import BadRequest
from llama_orch_utils.transport.clock import Timeouts
from llama_orch_utils.types import Message

Prompt = str | Sequence[Message]


class ChatOptions(TypedDict, total=False):
    """The options of `chat` and `stream`, named as OpenAI names them; None is the target's default.

    `system` goes before the messages; `timeout` is seconds for the whole call, or Timeouts; `extra` holds further
    fields of the request's body, sent as they are.
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
    timeout: float | Timeouts | None
    extra: Mapping[str, Any] | None


_NOT_SENT = frozenset({"model", "system", "timeout", "extra"})
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


def chat_body(prompt: Prompt, options: ChatOptions, *, streamed: bool) -> dict[str, Any]:
    """The request's body, without the model. Raises BadRequest, and TypeError for an option that nobody knows."""
    if unknown := sorted(set(options) - _KNOWN):
        raise TypeError(f"unknown option {unknown[0]!r}: what the target knows beyond these goes into extra={{…}}")
    body: dict[str, Any] = {"messages": messages_of(prompt, options.get("system"))}
    body |= {name: value for name, value in options.items() if value is not None and name not in _NOT_SENT}
    if streamed:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    extra = options.get("extra") or {}
    if taken := sorted((_OURS | set(body)) & set(extra)):
        raise BadRequest(
            f"extra holds {taken[0]!r}, which has an argument of its own",
            param=f"/{taken[0]}",
            hint=f"give {taken[0]} as an argument",
        )
    if streamed and extra.get("n") not in (None, 1):
        raise BadRequest("a stream carries one answer, not n", param="/n", hint="use chat(), and read answer.raw")
    body.update(extra)
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
