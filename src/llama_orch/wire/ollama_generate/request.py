# SPDX-License-Identifier: GPL-3.0-or-later
"""The request body. What would change the answer and is not served is refused by name: nothing is dropped silently."""

from __future__ import annotations

from llama_orch.wire.fields import Fields, unsupported
from llama_orch.wire.generation import Chat, Generation, Infill, Prompt, Text, Thinking, Turn
from llama_orch.wire.json_body import parse as parse_json
from llama_orch.wire.ollama_chat.options import (
    check_keep_alive,
    read_images,
    read_model,
    read_thinking,
    read_wish,
    refuse_template,
)
from llama_orch.wire.picture import joined
from llama_orch_utils.errors import BadRequest


def parse(body: bytes) -> Generation:
    """The generation that `body` asks for; one without prompts is a request to load the model.

    Raises BadRequest, UnsupportedByTarget, with the JSON pointer in `param`.
    """
    fields = Fields(parse_json(body))
    model = read_model(fields)
    _refuse_unserved(fields)
    prompt, thinking = _read_prompt(fields)
    check_keep_alive(fields, loading=prompt is None)
    wish = read_wish(fields)
    stream = fields.flag("stream")
    generation = Generation(
        prompts=() if prompt is None else (prompt,),
        model=model,
        stream=stream is None or stream,
        include_usage=True,
        max_tokens=wish.max_tokens,
        stop=wish.stop,
        sampling=wish.sampling,
        schema_at="/format",
        prompt_at="/prompt",
        context=wish.context,
        context_at="/options/num_ctx",
        thinking=thinking,
    )
    fields.refuse_rest()
    return generation


def _refuse_unserved(fields: Fields) -> None:
    refuse_template(fields)
    if fields.take("context") not in (None, []):
        raise unsupported("context", fields.at("context"), "send the conversation to /api/chat")


def _read_prompt(fields: Fields) -> tuple[Prompt | None, Thinking | None]:
    prompt = fields.text("prompt") or ""
    system = fields.text("system") or ""
    suffix = fields.text("suffix") or ""
    raw = fields.flag("raw") or False
    thinking = read_thinking(fields)
    images = read_images(fields)
    if images and (raw or suffix or not prompt):
        raise unsupported("images without a question in a chat", fields.at("images"), "send them with a prompt")
    if system and (raw or suffix):
        mode = "raw" if raw else "suffix"
        raise BadRequest(f"{mode} and system exclude each other", param=fields.at("system"), hint="leave /system out")
    if suffix:
        if raw:
            raise BadRequest("raw and suffix exclude each other", param=fields.at("suffix"))
        return Infill(prompt, suffix), None
    if not prompt:
        return None, None
    if raw:
        return Text(prompt), None
    turns: list[Turn] = [{"role": "system", "content": system}] if system else []
    return Chat((*turns, {"role": "user", "content": joined([*images, prompt])})), thinking
