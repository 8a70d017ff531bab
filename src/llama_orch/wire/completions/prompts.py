# SPDX-License-Identifier: GPL-3.0-or-later
"""The field `prompt`: a string, tokens, or a list of either; with `suffix`, what stands before a gap."""

from __future__ import annotations

from llama_orch.wire.fields import Fields, kind, unsupported
from llama_orch.wire.generation import Infill, Prompt, Text, Tokens
from llama_orch.wire.json_body import Json, pointer
from llama_orch_utils.errors import BadRequest

MAX_PROMPTS = 128
MAX_TOKENS = 2**20
MAX_TOKEN = 2**31 - 1
_WORDS = "prompt must be a string, a list of strings, a list of tokens, or a list of lists of tokens"


def read_prompts(fields: Fields) -> tuple[Prompt, ...]:
    """The prompts. Raises BadRequest for anything else, and for tokens that no vocabulary has."""
    value, where = fields.take("prompt"), fields.at("prompt")
    suffix = fields.text("suffix")
    if value is None:
        raise BadRequest("there is no prompt", param=where, hint='send {"prompt": "…"}')
    prompts = _prompts(value, where)
    if not suffix:
        return prompts
    if len(prompts) > 1:
        raise unsupported("a suffix of several prompts", fields.at("suffix"), "send one prompt with its suffix")
    return tuple(_gap(prompt, suffix, fields) for prompt in prompts)


def _prompts(value: Json, where: str) -> tuple[Prompt, ...]:
    if isinstance(value, str):
        return (Text(value),)
    if not isinstance(value, list):
        raise BadRequest(f"{_WORDS}; not {kind(value)}", param=where)
    if not value:
        raise BadRequest("prompt is an empty list", param=where)
    if _is_number(value[0]):
        return (_tokens(value, where),)
    if len(value) > MAX_PROMPTS:
        raise BadRequest(f"there are {len(value)} prompts; {MAX_PROMPTS} are the most", param=where)
    return tuple(_one(item, pointer(where, index)) for index, item in enumerate(value))


def _one(item: Json, where: str) -> Prompt:
    if isinstance(item, str):
        return Text(item)
    if isinstance(item, list):
        return _tokens(item, where)
    raise BadRequest(f"{_WORDS}; this is {kind(item)}", param=where)


def _tokens(items: list[Json], where: str) -> Tokens:
    if not 0 < len(items) <= MAX_TOKENS:
        raise BadRequest(f"a prompt has 1 to {MAX_TOKENS} tokens, not {len(items)}", param=where)
    return Tokens(tuple(_token(item, pointer(where, index)) for index, item in enumerate(items)))


def _token(item: Json, where: str) -> int:
    if isinstance(item, float) and item.is_integer():
        item = int(item)
    if isinstance(item, bool) or not isinstance(item, int) or not 0 <= item <= MAX_TOKEN:
        raise BadRequest("a token is a whole number of 0 or more", param=where)
    return item


def _is_number(item: Json) -> bool:
    return isinstance(item, int | float) and not isinstance(item, bool)


def _gap(prompt: Prompt, suffix: str, fields: Fields) -> Prompt:
    if not isinstance(prompt, Text):
        raise unsupported("a suffix of a prompt in tokens", fields.at("suffix"), "send the prompt as a string")
    return Infill(prompt.text, suffix)
