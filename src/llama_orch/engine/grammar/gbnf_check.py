# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a grammar unusable although it parses: undefined rules, left recursion, runaway ambiguity.

llama.cpp sees left recursion behind a rule that may be empty only if that rule says so itself, and grows its stack
without end on the others.
"""

from __future__ import annotations

from llama_orch.engine.grammar.gbnf import Alternatives, Grammar, Reference
from llama_orch.engine.grammar.gbnf_cursor import refusal
from llama_orch.engine.grammar.gbnf_trial import Trial


def check(grammar: Grammar) -> list[Alternatives]:
    """All rules, defined. Raises BadRequest, `param` /grammar, with the offending rule's name where it has one."""
    undefined = [name for name, number in grammar.names.items() if grammar.rules[number] is None]
    if undefined:
        raise refusal(f"rule '{undefined[0]}' is not defined")
    if "root" not in grammar.names:
        raise refusal("it has no rule 'root'")
    rules = [rule for rule in grammar.rules if rule is not None]
    _check_left_recursion(grammar, rules, _nullable(rules))
    Trial(rules).run(grammar.names["root"])
    return rules


def _nullable(rules: list[Alternatives]) -> list[bool]:
    """Which rules can produce the empty text: marked from the ones that obviously do to those that follow."""
    users: dict[int, set[int]] = {}
    for number, rule in enumerate(rules):
        for alternative in rule:
            for element in alternative:
                if isinstance(element, Reference):
                    users.setdefault(element.rule, set()).add(number)
    found = [False] * len(rules)
    todo = list(range(len(rules)))
    while todo:
        number = todo.pop()
        if not found[number] and any(
            all(isinstance(e, Reference) and found[e.rule] for e in alternative) for alternative in rules[number]
        ):
            found[number] = True
            todo.extend(users.get(number, ()))
    return found


def _check_left_recursion(grammar: Grammar, rules: list[Alternatives], nullable: list[bool]) -> None:
    """Refuses a rule that can begin with itself and leave something to come after: the stack would grow for ever."""
    edges: list[list[tuple[int, bool]]] = [_first_references(rule, nullable) for rule in rules]
    for component in _components([[target for target, _ in out] for out in edges]):
        for number in component:
            if any(target in component and grows for target, grows in edges[number]):
                names = sorted(name for name, other in grammar.names.items() if other in component)
                raise refusal(f"left recursion in {_quoted(names)}")


def _first_references(rule: Alternatives, nullable: list[bool]) -> list[tuple[int, bool]]:
    """The rules that this one can begin with, and whether something of this one follows them."""
    found: list[tuple[int, bool]] = []
    for alternative in rule:
        for index, element in enumerate(alternative):
            if not isinstance(element, Reference):
                break
            found.append((element.rule, index + 1 < len(alternative)))
            if not nullable[element.rule]:
                break
    return found


def _components(edges: list[list[int]]) -> list[set[int]]:
    """Strongly connected components (Kosaraju's two passes, without recursion)."""
    backwards: list[list[int]] = [[] for _ in edges]
    for source, targets in enumerate(edges):
        for target in targets:
            backwards[target].append(source)
    seen: set[int] = set()
    order = [number for start in range(len(edges)) for number in _postorder(edges, start, seen)]
    seen.clear()
    return [set(_postorder(backwards, start, seen)) for start in reversed(order) if start not in seen]


def _postorder(edges: list[list[int]], start: int, seen: set[int]) -> list[int]:
    if start in seen:
        return []
    seen.add(start)
    found: list[int] = []
    path = [(start, iter(edges[start]))]
    while path:
        number, targets = path[-1]
        target = next((t for t in targets if t not in seen), None)
        if target is None:
            found.append(number)
            path.pop()
        else:
            seen.add(target)
            path.append((target, iter(edges[target])))
    return found


def _quoted(names: list[str]) -> str:
    return ", ".join(f"rule '{name}'" for name in names[:3]) if names else "a repetition"
