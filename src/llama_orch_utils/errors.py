# SPDX-License-Identifier: Apache-2.0
"""Every error that llama-orch raises, as one tree.

    OrchError                      code, hint, status, target, request_id
    ├── ConfigError                file, line, column, key
    ├── TargetError
    │   ├── TargetUnreachable      address
    │   ├── EngineFailed           last_words, retry_after
    │   └── TargetTimeout          phase, seconds
    ├── RequestError               param, body
    │   ├── BadRequest
    │   │   ├── ContextTooLong     limit, asked
    │   │   └── UnsupportedByTarget  capability
    │   ├── NotAuthorised  ├── NotAllowed  ├── ModelNotFound (near_misses)
    │   ├── RateLimited (retry_after)  ├── InsufficientCredits (balance, affordable_max_tokens, limit_source)
    │   └── BudgetExceeded (limit_source, balance, affordable_max_tokens)
    ├── AnswerError
    │   ├── InvalidAnswer          pointer, text
    │   ├── StepsExhausted         steps, messages
    │   └── StreamBroken           partial
    ├── ToolError                  tool
    └── AppletError

The same classes serve both ends of the wire: a worker raises one, the gateway renders it as an HTTP answer
(`status`, `code`, message, `hint`), and the client raises it again from that answer.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from llama_orch_utils.messages import Message


class OrchError(Exception):
    """The root: what happened in words, and what to do next.

    `code` is a stable snake_case word, `status` the HTTP status that a server answers with, `hint` the exact next
    step (a command where there is one), `target` and `request_id` where it happened, when known.
    """

    code: str = "error"
    status: int = 500

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        target: str | None = None,
        request_id: str | None = None,
        code: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.target = target
        self.request_id = request_id
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status


class ConfigError(OrchError):
    """A configuration file, variable or key store that cannot be used."""

    code = "config_error"

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        key: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.file, self.line, self.column, self.key = file, line, column, key


class TargetError(OrchError):
    """The target could not answer."""

    code = "target_error"
    status = 502


class TargetUnreachable(TargetError):
    """No connection to `address`, or it broke before an answer began."""

    code = "target_unreachable"
    status = 503

    def __init__(
        self, message: str, *, address: str | None = None, hint: str | None = None, target: str | None = None
    ) -> None:
        super().__init__(message, hint=hint, target=target)
        self.address = address


class EngineFailed(TargetError):
    """The worker could not load the model, or ended; `last_words` is the end of its log.

    With the code `loading` it is not ready yet; `retry_after` seconds, when the target said so.
    """

    code = "engine_failed"
    status = 503

    def __init__(
        self,
        message: str,
        *,
        last_words: str = "",
        hint: str | None = None,
        target: str | None = None,
        request_id: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, target=target, request_id=request_id, code=code)
        self.last_words, self.retry_after = last_words, retry_after


class TargetTimeout(TargetError):
    """A time-out; `phase` is connect, first_token, between_tokens or total; `seconds` is its limit."""

    code = "timeout"
    status = 504

    def __init__(
        self, message: str, *, phase: str, seconds: float, hint: str | None = None, target: str | None = None
    ) -> None:
        super().__init__(message, hint=hint, target=target)
        self.phase, self.seconds = phase, seconds


class RequestError(OrchError):
    """The target refused the request; `param` is the JSON pointer of what it objects to, `body` its raw answer."""

    code = "request_error"
    status = 400

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        body: bytes = b"",
        hint: str | None = None,
        target: str | None = None,
        request_id: str | None = None,
        code: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint, target=target, request_id=request_id, code=code, status=status)
        self.param, self.body = param, body


class BadRequest(RequestError):
    """The request is malformed, or asks for something impossible."""

    code = "bad_request"


class ContextTooLong(BadRequest):
    """The prompt has `asked` tokens, the sequence's context holds `limit`. Nothing was truncated."""

    code = "context_length_exceeded"

    def __init__(
        self,
        message: str,
        *,
        limit: int,
        asked: int,
        param: str | None = "/messages",
        hint: str | None = None,
        target: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, param=param, hint=hint, target=target, request_id=request_id)
        self.limit, self.asked = limit, asked


class UnsupportedByTarget(BadRequest):
    """The target does not serve `capability` (the name of a parameter or a feature)."""

    code = "unsupported"

    def __init__(
        self,
        message: str,
        *,
        capability: str,
        param: str | None = None,
        hint: str | None = None,
        target: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, param=param, hint=hint, target=target, request_id=request_id)
        self.capability = capability


class NotAuthorised(RequestError):
    """No key, or a wrong one."""

    code = "invalid_api_key"
    status = 401


class NotAllowed(RequestError):
    """The key is right, and may not do this."""

    code = "not_allowed"
    status = 403


class ModelNotFound(RequestError):
    """The target has no such model; `near_misses` are the closest names that it has."""

    code = "model_not_found"
    status = 404

    def __init__(
        self,
        message: str,
        *,
        near_misses: tuple[str, ...] = (),
        param: str | None = "/model",
        hint: str | None = None,
        target: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, param=param, hint=hint, target=target, request_id=request_id)
        self.near_misses = near_misses


class RateLimited(RequestError):
    """Too many requests; `retry_after` seconds, when the target said so."""

    code = "rate_limited"
    status = 429

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        hint: str | None = None,
        target: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, target=target, request_id=request_id)
        self.retry_after = retry_after


class InsufficientCredits(RequestError):
    """The balance (micro-euros) does not afford the request; `affordable_max_tokens` would fit."""

    code = "insufficient_credits"
    status = 402

    def __init__(
        self,
        message: str,
        *,
        balance: int | None = None,
        affordable_max_tokens: int | None = None,
        limit_source: str = "credits",
        hint: str | None = None,
        target: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, target=target, request_id=request_id)
        self.balance, self.affordable_max_tokens, self.limit_source = balance, affordable_max_tokens, limit_source


class BudgetExceeded(RequestError):
    """A limit of the caller's own (a key's budget, `--max-cost`); `limit_source` names it.

    `balance` is what the budget has left (micro-euros), `affordable_max_tokens` what would fit into that.
    """

    code = "budget_exceeded"
    status = 402

    def __init__(
        self,
        message: str,
        *,
        limit_source: str | None = None,
        balance: int | None = None,
        affordable_max_tokens: int | None = None,
        hint: str | None = None,
        target: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, target=target, request_id=request_id)
        self.limit_source, self.balance, self.affordable_max_tokens = limit_source, balance, affordable_max_tokens


class AnswerError(OrchError):
    """An answer came, and cannot be used."""

    code = "answer_error"
    status = 502


class InvalidAnswer(AnswerError):
    """The answer does not fit the schema; `pointer` says where, `text` is the answer."""

    code = "invalid_answer"

    def __init__(self, message: str, *, pointer: str = "", text: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.pointer, self.text = pointer, text


class StepsExhausted(AnswerError):
    """The model still calls tools after `steps` requests; `messages` are the turns since the question.

    Its last calls were not run, and are in none of them.
    """

    code = "steps_exhausted"

    def __init__(
        self,
        message: str,
        *,
        steps: int,
        messages: tuple[Message, ...] = (),
        hint: str | None = None,
        target: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, target=target)
        self.steps, self.messages = steps, messages


class StreamBroken(AnswerError):
    """The stream ended before the answer did; `partial` is the text that came."""

    code = "stream_broken"

    def __init__(
        self,
        message: str,
        *,
        partial: str = "",
        hint: str | None = None,
        target: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, target=target, request_id=request_id)
        self.partial = partial


class ToolError(OrchError):
    """The tool `tool` failed, or cannot be one. A tool that raises it says to the model what the message says."""

    code = "tool_error"

    def __init__(self, message: str, *, tool: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.tool = tool


class AppletError(OrchError):
    """An applet could not be loaded, or failed."""

    code = "applet_error"
