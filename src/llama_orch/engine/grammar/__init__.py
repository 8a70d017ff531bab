# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of a given form: GBNF through llama.cpp's grammar sampler, JSON Schema through llguidance.

constraint         what a sampler asks of either
gbnf               GBNF text to rules
gbnf_check         what llama.cpp would abort on, hang on, or take for something else
gbnf_constraint    llama.cpp's grammar, asked about few tokens at a time
schema_check       which keyword of a JSON Schema cannot be held, and where it stands
schema_constraint  JSON Schemas as llguidance's grammars
lark_constraint    Lark grammars with JSON Schemas in them
lazy_constraint    free text, and a grammar from the first sign of a call on
mask_constraint    llguidance's masks
thought_limit      thoughts that end when they have been long enough
"""

from __future__ import annotations

from collections.abc import Mapping

from llama_orch.engine.grammar.constraint import Constraint
from llama_orch.engine.records import Sampling
from llama_orch.engine.vocabulary import Vocabulary

__all__ = ["Constraint", "make_constraint"]


def make_constraint(
    vocabulary: Vocabulary, sampling: Sampling, shown: Mapping[int, str] | None = None
) -> Constraint | None:
    """The constraint that the request asks for, None if it asks for none.

    Raises BadRequest naming the reason and line (GBNF, `param` is /grammar), or UnsupportedByTarget or BadRequest
    with the JSON pointer into the schema after `/json_schema`, or after the schema's own place, in `param`. `shown` are
    the control tokens that count as text.
    """
    found = _form(vocabulary, sampling, shown or {})
    if sampling.most_thought is None:
        return found
    from llama_orch.engine.grammar.thought_limit import ThoughtLimit

    return ThoughtLimit(vocabulary, found, sampling, shown or {})


def _form(vocabulary: Vocabulary, sampling: Sampling, shown: Mapping[int, str]) -> Constraint | None:
    if sampling.grammar is not None:
        from llama_orch.engine.grammar.gbnf_constraint import GrammarConstraint

        return GrammarConstraint(vocabulary, sampling.grammar)
    if sampling.json_schema is not None:
        from llama_orch.engine.grammar.schema_constraint import SchemaConstraint

        return SchemaConstraint(vocabulary, sampling.json_schema)
    if sampling.lark is not None:
        return _held_by_lark(vocabulary, sampling, shown)
    return None


def _held_by_lark(vocabulary: Vocabulary, sampling: Sampling, shown: Mapping[int, str]) -> Constraint:
    from llama_orch.engine.grammar.lark_constraint import LarkConstraint
    from llama_orch.engine.grammar.lazy_constraint import LazyConstraint
    from llama_orch.engine.grammar.lookout import Lookout

    inner = LarkConstraint(vocabulary, sampling)
    if not sampling.trigger and sampling.opening is None:
        return inner
    return LazyConstraint(vocabulary, inner, Lookout(sampling.trigger, sampling.opening, sampling.asides), shown)
