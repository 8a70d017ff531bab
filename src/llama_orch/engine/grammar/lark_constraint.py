# SPDX-License-Identifier: GPL-3.0-or-later
"""Lark grammars with JSON Schemas in them, as the formats of tool calls need them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from llama_orch.engine.grammar.excess import excess, is_limit
from llama_orch.engine.grammar.mask_constraint import MaskConstraint, words
from llama_orch.engine.grammar.schema_check import read
from llama_orch.engine.grammar.schema_constraint import weakened, with_options
from llama_orch.engine.grammar.schema_text import Json
from llama_orch.engine.grammar.tokenizer import tokenizer_of
from llama_orch.engine.records import Sampling
from llama_orch.engine.vocabulary import Vocabulary
from llama_orch_utils.errors import BadRequest

PARAM = "/tools"
_MARK = re.compile(r'^((mark|upto)_[0-9]+): ("(?:[^"\\]|\\.)*")$', re.MULTILINE)


class LarkConstraint(MaskConstraint):
    """One answer's way through `sampling.lark`.

    Raises UnsupportedByTarget or BadRequest, the JSON pointer of the culprit in `param`, for a schema in it that
    cannot be held and must be, and BadRequest at /tools where all of them together are too much.
    """

    def __init__(self, vocabulary: Vocabulary, sampling: Sampling) -> None:
        tokenizer = tokenizer_of(vocabulary)
        insets = [
            Inset(rule, read(text, where, loose=loose), where, loose) for rule, text, where, loose in sampling.insets
        ]
        frame = _MARK.sub(lambda match: _mark(vocabulary, match), sampling.lark or "")
        matcher = _compile(tokenizer, frame, insets)
        if matcher.is_error():
            for inset in insets:
                inset.schema = weakened(tokenizer, inset.schema, inset.where, loose=inset.loose) or inset.schema
            matcher = _compile(tokenizer, frame, insets)
        if matcher.is_error():
            said = words(matcher)
            raise (excess if is_limit(said) else BadRequest)(f"The tools cannot be held together: {said}", param=PARAM)
        super().__init__(vocabulary, matcher, "tools' schema", PARAM)


@dataclass(slots=True)
class Inset:
    """A schema in a grammar; without a rule it is only checked."""

    rule: str
    schema: Json
    where: str
    loose: bool


def _mark(vocabulary: Vocabulary, match: re.Match[str]) -> str:
    """The rule of a mark: the control token of that name, its text where the vocabulary has none."""
    text = json.loads(match[3])
    tokens = vocabulary.tokenize(text, special=True, add_bos=False)
    special = len(tokens) == 1 and vocabulary.is_mark(tokens[0])
    if match[2] == "mark":
        return f"{match[1]}: <[{tokens[0]}]>" if special else match[0]
    if special:
        return f"{match[1]}: /(?s:.*)/ <[{tokens[0]}]>"
    return f"{match[1]}[lazy]: /(?s:.*)/ {match[3]}"


def _compile(tokenizer: Any, frame: str, insets: list[Inset]) -> Any:
    from llguidance import LLMatcher

    make: Any = LLMatcher
    schemas = "".join(f"{one.rule}: %json {json.dumps(with_options(one.schema))}\n" for one in insets if one.rule)
    return make(tokenizer, LLMatcher.grammar_from_lark(frame + schemas), log_level=0)
