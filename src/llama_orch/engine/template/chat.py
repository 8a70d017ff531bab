# SPDX-License-Identifier: GPL-3.0-or-later
"""Chat templates: the model file's own Jinja program, run in a sandbox with bounded work and bounded output.

A template is code from whoever made the model file. What it finds follows Hugging Face
(transformers, `chat_template_utils.py`): trimmed blocks, loop controls, the `generation` tag, `raise_exception`,
`strftime_now` and a `tojson` that keeps Unicode. What bounds it is in `sandbox.py` and `budget.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError
from jinja2.exceptions import SecurityError

from llama_orch.engine.template.budget import Budget, Exceeded, Refusal
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
        return template

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        add_generation_prompt: bool = True,  # noqa: FBT001, FBT002 - the name that every template knows
    ) -> str:
        """The prompt's text, special tokens by name.

        Raises BadRequest with the template's own words where it objects to the messages (`raise_exception`), for
        more than 4,096 messages, and where rendering would take more work or room than such messages can need.
        """
        if len(messages) > MAX_MESSAGES:
            raise BadRequest(f"{len(messages)} messages; at most {MAX_MESSAGES} are allowed.", param="/messages")
        budget = Budget.for_messages(messages)
        try:
            return self._run(messages, add_generation_prompt=add_generation_prompt, budget=budget)
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

    def _run(self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool, budget: Budget) -> str:
        with budget:
            parts: list[str] = []
            for part in self._template.generate(
                messages=[dict(message) for message in messages],
                add_generation_prompt=add_generation_prompt,
                bos_token=self._bos,
                eos_token=self._eos,
                tools=None,
                documents=None,
            ):
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
