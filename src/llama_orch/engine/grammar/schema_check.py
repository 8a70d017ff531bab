# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Schemas are read here first, so that what cannot be held is named with its place, or dropped where it may be.

The schema is changed on the way: what llguidance holds too loosely is written in other words (`schema_rewrite`).
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import cast

from llama_orch.engine.grammar import schema_rewrite
from llama_orch.engine.grammar.ecma_pattern import Pattern, Untranslatable
from llama_orch.engine.grammar.schema_text import PARAM, Json, at, escape, parse, subschemas
from llama_orch.engine.grammar.string_formats import IDIOMS
from llama_orch_utils.errors import BadRequest, UnsupportedByTarget

MAX_MULTIPLE = 10_000
_HUGE = 10**15

UNSUPPORTED = frozenset((
    "not", "if", "then", "else", "dependentSchemas", "dependentRequired", "dependencies", "propertyNames", "contains",
    "minContains", "maxContains", "uniqueItems", "unevaluatedItems", "unevaluatedProperties", "$dynamicRef",
    "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "x-guidance", "divisibleBy", "disallow", "extends",
))  # fmt: skip
"""Keywords of JSON Schema (drafts 3 to 2020-12) that llguidance does not enforce, and its own switch to ignore some."""


def read(text: str, where: str = PARAM, *, loose: bool = False) -> Json:
    """The schema as an object that llguidance holds to the letter, or refuses; `true` is the empty one.

    Raises BadRequest for what is no JSON, too large or too deep, UnsupportedByTarget for a keyword that cannot be
    held; `param` is `where` and the JSON pointer (RFC 6901) of the culprit. `loose`: such keywords are dropped instead.
    """
    try:
        schema = parse(text)
        _Inspection(schema, loose=loose).run()
    except BadRequest as error:
        error.param = where + (error.param or "").removeprefix(PARAM)
        raise
    return schema


class _Inspection:
    """One look at all parts of a schema, the outer before the inner."""

    def __init__(self, schema: Json, *, loose: bool) -> None:
        self._schema, self._loose = schema, loose
        self._multiple = 1

    def run(self) -> None:
        if "draft-03" in str(self._schema.get("$schema", "")):
            self._object_to(self._schema, "", "$schema", "The draft 3 of JSON Schema")
        for pointer, part in list(subschemas(self._schema)):
            schema_rewrite.simplify(part)
            self._check_keywords(part, pointer)
            self._check_characters(part, pointer)
            self._check_identity(part, pointer)
            self._check_least(part, pointer)
            self._check_multiple(part, pointer)
            self._check_format(part, pointer)
            self._check_patterns(part, pointer)
            self._check_reference(part, pointer)

    def _object_to(self, part: Json, pointer: str, keyword: str, subject: str = "", name: str | None = None) -> None:
        """Drops the keyword where that may be, else raises; `name` is a member of it that is to blame."""
        if self._loose:
            part.pop(keyword, None)
            return
        subject = subject or f"The JSON Schema keyword '{keyword}'"
        place = f"{pointer}/{escape(keyword)}" + ("" if name is None else f"/{escape(name)}")
        raise UnsupportedByTarget(
            f"{subject} at {pointer or 'the root'} is not supported.",
            capability=keyword,
            param=PARAM + place,
            hint=f"leave out {place} of the schema",
        )

    def _check_keywords(self, part: Json, pointer: str) -> None:
        for keyword in sorted(UNSUPPORTED & part.keys()):
            self._object_to(part, pointer, keyword)

    def _check_characters(self, part: Json, pointer: str) -> None:
        for keyword in ("const", "enum", "required"):
            if schema_rewrite.unwritable(part.get(keyword)):
                self._object_to(part, pointer, keyword, f"A control character in '{keyword}'")
        names = part.get("properties")
        if isinstance(names, dict) and schema_rewrite.unwritable(list(cast("Json", names))):
            self._object_to(part, pointer, "properties", "A control character in a property's name")

    def _check_identity(self, part: Json, pointer: str) -> None:
        """A part with a name of its own: references in it lead elsewhere than they seem to."""
        draft_4 = "draft-04" in str(self._schema.get("$schema", ""))
        for keyword in ("$id", "id") if draft_4 else ("$id",):
            if pointer and isinstance(part.get(keyword), str):
                self._object_to(part, pointer, keyword)

    def _check_least(self, part: Json, pointer: str) -> None:
        """Refuses what llguidance cannot hold: it counts members, and {"x": 1, "x": 2} has two, but one property.

        Required names come once each, so one free name more than those is certain, and no more.
        """
        least, required = part.get("minProperties"), part.get("required")
        certain = 1
        if isinstance(required, list):
            certain += len({str(name) for name in cast("list[object]", required)})
        if isinstance(least, int | float) and least > certain:
            self._object_to(
                part, pointer, "minProperties", f"minProperties {least} (no more than {certain} can be held)"
            )

    def _check_multiple(self, part: Json, pointer: str) -> None:
        """Refuses multiples that validators disagree about, and those that together need too large an automaton.

        What has no exact binary fraction (0.01) is a multiple or not by the validator's rounding. llguidance makes one
        automaton of all divisors that meet in a value, with their least common multiple of states; powers of ten cost
        nothing.
        """
        divisor = part.get("multipleOf")
        if isinstance(divisor, bool) or not isinstance(divisor, int | float) or not 0 < divisor < _HUGE:
            return  # nothing to enforce, or llguidance says what is wrong
        exact = Decimal(str(divisor))
        digits = int("".join(map(str, exact.as_tuple().digits)))
        while digits % 10 == 0:
            digits //= 10
        if isinstance(divisor, float) and Decimal(divisor) != exact:
            self._object_to(part, pointer, "multipleOf", f"multipleOf {divisor} (it is no exact binary fraction)")
        elif math.lcm(self._multiple, digits) > MAX_MULTIPLE:
            subject = f"multipleOf {divisor} (too fine: the least common multiple is beyond {MAX_MULTIPLE})"
            self._object_to(part, pointer, "multipleOf", subject)
        else:
            self._multiple = math.lcm(self._multiple, digits)

    def _check_format(self, part: Json, pointer: str) -> None:
        if not schema_rewrite.hold_format(part):
            self._object_to(part, pointer, "format", f"The format {json.dumps(part['format'])}")

    def _check_patterns(self, part: Json, pointer: str) -> None:
        try:
            pattern: object = part.get("pattern")
            if isinstance(pattern, str):
                part["pattern"] = Pattern(IDIOMS.get(pattern, pattern)).text
        except Untranslatable as error:
            self._object_to(part, pointer, "pattern", f"The pattern {json.dumps(part['pattern'])} ({error})")
        if isinstance(part.get("patternProperties"), dict):
            self._check_names(part, pointer)

    def _check_names(self, part: Json, pointer: str) -> None:
        found: Json = {}
        for name, inner in cast("Json", part["patternProperties"]).items():
            try:
                pattern = Pattern(name)
            except Untranslatable as error:
                subject = f"The pattern {json.dumps(name)} ({error})"
                self._object_to(part, pointer, "patternProperties", subject, name)
                return
            if not pattern.exact and part.get("additionalProperties") is not False:
                subject = f"The pattern {json.dumps(name)} beside additionalProperties"
                self._object_to(part, pointer, "patternProperties", subject, name)
                return
            found[pattern.text] = inner
        part["patternProperties"] = found

    def _check_reference(self, part: Json, pointer: str) -> None:
        """A `$ref` must lead to a place in this very schema: nothing is fetched."""
        reference = part.get("$ref")
        if reference is None:
            return
        inner = isinstance(reference, str) and (reference == "#" or reference.startswith("#/"))
        if inner and isinstance(at(self._schema, reference[1:]), dict | bool):
            return
        if self._loose:
            del part["$ref"]
            return
        message = f"The reference {json.dumps(reference)} does not lead to a schema in this JSON schema."
        raise BadRequest(message, param=f"{PARAM}{pointer}/$ref")
