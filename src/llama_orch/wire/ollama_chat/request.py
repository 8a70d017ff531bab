# SPDX-License-Identifier: GPL-3.0-or-later
"""The request body. What would change the answer and is not served is refused by name: nothing is dropped silently."""

from __future__ import annotations

from llama_orch.wire.fields import Fields
from llama_orch.wire.generation import Generation
from llama_orch.wire.json_body import parse as parse_json
from llama_orch.wire.ollama_chat.conversation import read_chat, read_tools
from llama_orch.wire.ollama_chat.options import (
    check_keep_alive,
    read_model,
    read_thinking,
    read_wish,
    refuse_template,
)


def parse(body: bytes) -> Generation:
    """The generation that `body` asks for; one without prompts is a request to load the model.

    Raises BadRequest, UnsupportedByTarget, with the JSON pointer in `param`.
    """
    fields = Fields(parse_json(body))
    model = read_model(fields)
    chat = read_chat(fields)
    check_keep_alive(fields, loading=chat is None)
    refuse_template(fields)
    wish = read_wish(fields)
    stream = fields.flag("stream")
    generation = Generation(
        prompts=() if chat is None else (chat,),
        model=model,
        stream=stream is None or stream,
        include_usage=True,
        max_tokens=wish.max_tokens,
        stop=wish.stop,
        sampling=wish.sampling,
        schema_at="/format",
        context=wish.context,
        context_at="/options/num_ctx",
        tools=read_tools(fields),
        thinking=read_thinking(fields),
    )
    fields.refuse_rest()
    return generation
