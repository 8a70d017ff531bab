# SPDX-License-Identifier: GPL-3.0-or-later
"""Chat templates: the model file's own Jinja program, run in a sandbox with bounded work and bounded output.

A template is code from whoever made the model file. What it finds follows Hugging Face
(transformers, `chat_template_utils.py`): trimmed blocks, loop controls, the `generation` tag, `raise_exception`,
`strftime_now` and a `tojson` that keeps Unicode. What bounds it is in `sandbox.py` and `budget.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError
from jinja2.exceptions import SecurityError

from llama_orch.engine.template.budget import Budget, Exceeded, Refusal
from llama_orch.engine.template.parts import as_parts, wants_parts
from llama_orch.engine.template.sandbox import environment
from llama_orch_utils.errors import BadRequest, EngineFailed

MAX_MESSAGES = 4096
MAX_TEMPLATE_CHARACTERS = 1_000_000
FALLBACK = "chatml"
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_HINT = "use a GGUF with a working tokenizer.chat_template; `orch models show NAME` prints this one's"
_TRIAL = ({"role": "user", "content": "Hello"},)


class ChatTemplate:
    """A compiled template; `warning` says in words that the model has none and the fallback stands in."""

    def __init__(self, template: Template, *, bos: str, eos: str, warning: str | None = None) -> None:
        self._template, self._bos, self._eos = template, bos, eos
        self.warning = warning
        self._in_parts = False

    @classmethod
    def from_model(cls, source: str | None, bos: str, eos: str) -> ChatTemplate:
        """The template of a model file (`tokenizer.chat_template`); `bos` and `eos` are the texts of those tokens.

        Raises EngineFailed for one that does not compile, or that asks for what the sandbox refuses.
        """
        if source is None or not source.strip():
            warning = f"The model has no chat template; the fallback '{FALLBACK}' is used, and answers may suffer."
            return cls(_compile(CHATML), bos=bos, eos=eos, warning=warning)
        template = cls(_compile(source), bos=bos, eos=eos)
        template._try_out()
        template._in_parts = wants_parts(template.render)
        return template

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        add_generation_prompt: bool = True,  # noqa: FBT001, FBT002 - the name that every template knows
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> str:
        """The prompt's text, special tokens by name.

        `tools` in OpenAI's form (`{"type": "function", "function": {…}}`); `variables` are further names that the
        template may ask for (`enable_thinking`).

        Raises BadRequest with the template's own words where it objects to the messages (`raise_exception`), for more
        than 4,096 messages, where rendering would take more work or room than such messages can need, and for a
        variable that is not the client's to set.
        """
        if len(messages) > MAX_MESSAGES:
            raise BadRequest(f"{len(messages)} messages; at most {MAX_MESSAGES} are allowed.", param="/messages")
        known = {"add_generation_prompt": add_generation_prompt, "tools": list(tools) if tools else None}
        known |= {"bos_token": self._bos, "eos_token": self._eos, "documents": None}
        for name in variables or ():
            if name in known or name == "messages":
                message = f"The template's variable {name} is not the client's to set."
                raise BadRequest(message, param=f"/chat_template_kwargs/{name}")
        known = {**(variables or {}), **known}
        try:
            return self._rendered(messages, known)
        except BadRequest as error:
            for changed in _variants(messages):
                try:
                    return self._rendered(changed, known)
                except BadRequest:  # the first complaint is the one that is about the client's messages
                    continue
            raise error  # noqa: TRY201 - as it was, not the last variant's

    def _rendered(self, messages: Sequence[Mapping[str, Any]], known: Mapping[str, Any]) -> str:
        messages = as_parts(messages) if self._in_parts else messages
        budget = Budget.for_messages(messages, known)
        try:
            return self._run({**known, "messages": [dict(message) for message in messages]}, budget)
        except Refusal as error:
            raise BadRequest(f"The model's chat template refuses: {error}", param="/messages") from error
        except Exceeded as error:
            raise BadRequest(f"The chat template was stopped: {error}.", param="/messages", hint=_HINT) from error
        except SecurityError as error:
            raise EngineFailed(f"The model's chat template is not safe: {error}", hint=_HINT) from error
        except (
            TemplateError,
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            message = f"The model's chat template cannot render these messages: {_words(error)}"
            raise BadRequest(message, param="/messages") from error

    def _run(self, known: Mapping[str, Any], budget: Budget) -> str:
        with budget:
            parts: list[str] = []
            for part in self._template.generate(**known):
                budget.emit(len(part))
                parts.append(part)
            return "".join(parts)

    def _try_out(self) -> None:
        """One harmless message: what even that makes the template do wrong is the file's fault, not a request's."""
        try:
            self.render(_TRIAL)
        except BadRequest as error:
            if isinstance(error.__cause__, Exceeded):
                raise EngineFailed(f"The model's chat template runs away: {error.__cause__}", hint=_HINT) from error


def _variants(messages: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """The same conversation in other words, for templates that are particular: in the order of how little changes."""
    texts = _with_arguments_as_text(messages)
    systems = any(message.get("role") == "system" for message in messages[1:])
    if texts is not None:
        yield texts
    if systems:
        yield _without_later_systems(messages)
    if systems and texts is not None:
        yield _without_later_systems(texts)


def _with_arguments_as_text(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]] | None:
    """Calls with arguments as JSON text, which some templates paste as they are; None where there are no calls."""
    if not any(message.get("tool_calls") for message in messages):
        return None
    found: list[Mapping[str, Any]] = []
    for message in messages:
        calls = [dict(call) for call in message.get("tool_calls") or ()]
        for call in calls:
            function = dict(call.get("function") or {})
            if not isinstance(function.get("arguments"), str):
                function["arguments"] = json.dumps(function.get("arguments") or {}, ensure_ascii=False)
            call["function"] = function
        found.append({**message, "tool_calls": calls} if calls else message)
    return found


def _without_later_systems(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What a system said later becomes a part of the user's words at that place: agents put such turns anywhere."""
    found = [messages[0]]
    for message in messages[1:]:
        turn = {**message, "role": "user"} if message.get("role") == "system" else message
        if turn.get("role") == "user" == found[-1].get("role"):
            found[-1] = {**found[-1], "content": f"{found[-1].get('content')}\n\n{turn.get('content')}"}
        else:
            found.append(turn)
    return found


def _compile(source: str) -> Template:
    if len(source) > MAX_TEMPLATE_CHARACTERS:
        raise EngineFailed(f"The model's chat template has {len(source)} characters: too long.", hint=_HINT)
    try:
        return environment().from_string(source)
    except TemplateSyntaxError as error:
        message = f"The model's chat template is broken in line {error.lineno}: {error.message}"
        raise EngineFailed(message, hint=_HINT) from error
    except (TemplateError, RecursionError, SyntaxError, ValueError, MemoryError) as error:
        raise EngineFailed(f"The model's chat template is broken: {_words(error)}", hint=_HINT) from error


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
