# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of a given form: GBNF through llama.cpp's grammar sampler, JSON Schema through llguidance.

constraint         what a sampler asks of either
gbnf               GBNF text to rules
gbnf_check         what llama.cpp would abort on, hang on, or take for something else
gbnf_constraint    llama.cpp's grammar, asked about few tokens at a time
schema_check       which keyword of a JSON Schema cannot be held, and where it stands
schema_constraint  llguidance's masks
"""

from __future__ import annotations

from llama_orch.engine.grammar.constraint import Constraint
from llama_orch.engine.records import Sampling
from llama_orch.engine.vocabulary import Vocabulary

__all__ = ["Constraint", "make_constraint"]


def make_constraint(vocabulary: Vocabulary, sampling: Sampling) -> Constraint | None:
    """The constraint that the request asks for, None if it asks for none.

    Raises BadRequest naming the reason and line (GBNF, `param` is /grammar), or UnsupportedByTarget or BadRequest
    with the JSON pointer into the schema after `/json_schema` in `param`.
    """
    if sampling.grammar is not None:
        from llama_orch.engine.grammar.gbnf_constraint import GrammarConstraint

        return GrammarConstraint(vocabulary, sampling.grammar)
    if sampling.json_schema is not None:
        from llama_orch.engine.grammar.schema_constraint import SchemaConstraint

        return SchemaConstraint(vocabulary, sampling.json_schema)
    return None
