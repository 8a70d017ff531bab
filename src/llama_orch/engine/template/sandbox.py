# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox that chat templates run in: Jinja's immutable one, plus a budget of steps, time, and characters.

Jinja's sandbox keeps a template from Python's internals, but lets it loop for ever or build a string of terabytes.
Here every pass of a loop, every call and every operation that can make something long is paid from a budget.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sized
from datetime import datetime
from functools import cache
from typing import Any, NoReturn, cast

from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llama_orch.engine.template.budget import (
    Budget,
    Exceeded,
    Refusal,
    check_format,
    check_power,
    check_text_call,
    check_widths,
    product,
    size,
)

_MAX_INDENT = 16


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}` marks the assistant's words for training; here it is transparent."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own declaration

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox with every loop, call and growing operation paid from the current budget."""

    intercepted_binops = frozenset(("*", "**", "+", "%"))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "_paid", [], [], None, None, lineno=loop.lineno)
        for concat in list(tree.find_all(nodes.Concat)):
            pieces = nodes.List(concat.nodes, lineno=concat.lineno)
            concat.nodes = [nodes.Filter(pieces, "_joined", [], [], None, None, lineno=concat.lineno)]
        return tree

    def call(self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: PYI063 - as Jinja declares it
        """A call from a template: one step, and no argument that would pad or repeat to thousands."""
        budget = Budget.current()
        budget.step()
        # str.replace, join, format and the like make a text from the bound text and their arguments.
        owner = getattr(getattr(__obj, "__wrapped__", __obj), "__self__", None)
        if isinstance(owner, str):
            check_text_call(budget, owner, getattr(__obj, "__name__", ""), args)
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """`+`, `*`, `**` and `%` of a template, with the size of what they make checked before."""
        budget = Budget.current()
        if operator == "+":
            budget.build(size(left) + size(right))
        elif operator == "*":
            budget.build(product(left, right))
        elif operator == "**":
            check_power(left, right)
        elif isinstance(left, str):
            check_format(left)
        return super().call_binop(context, operator, left, right)


@cache
def environment() -> Sandbox:
    """The one environment that all templates are compiled in."""
    sandbox = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols], cache_size=0)
    filters = cast("dict[str, Callable[..., Any]]", sandbox.filters)
    filters.update({name: _guarded(filters[name]) for name in _MAKES_MUCH})
    filters.update(tojson=_tojson, _paid=_paid, _joined=_joined)
    for name in ("urlize", "pprint", "random", "wordwrap"):  # costly or not reproducible, and in no chat template
        del filters[name]
    for name in ("lipsum", "cycler"):
        del sandbox.globals[name]
    cast("dict[str, object]", sandbox.globals).update(raise_exception=_raise_exception, strftime_now=_strftime_now)
    return sandbox


def _raise_exception(message: object) -> NoReturn:
    raise Refusal(str(message))


def _strftime_now(form: str) -> str:
    check_format(form)
    return datetime.now().strftime(form)  # noqa: DTZ005 - the local date, as in transformers


def _tojson(
    value: object,
    ensure_ascii: bool = False,  # noqa: FBT001, FBT002 - the signature that templates know from transformers
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,  # noqa: FBT001, FBT002
) -> str:
    if indent is not None and not 0 <= indent <= _MAX_INDENT:
        raise Exceeded(f"it indents JSON by {indent}")
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _paid(values: Iterable[object]) -> Iterable[object]:
    """What a loop runs over, each pass paid for."""
    if isinstance(values, Undefined):
        return values
    if isinstance(values, Sized):
        Budget.current().step(1 + len(values))
        return values
    return _paid_each(values)


def _paid_each(values: Iterable[object]) -> Iterator[object]:
    for value in values:
        Budget.current().step()
        yield value


def _joined(values: list[object]) -> str:
    """The operator `~`."""
    texts = [str(value) for value in values]
    Budget.current().build(sum(map(len, texts)))
    return "".join(texts)


_MAKES_MUCH = ("center", "indent", "format", "truncate", "batch", "slice", "replace", "join")


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter of Jinja's that can make much out of little, with its arguments checked first."""

    def checked(*args: Any, **kwargs: Any) -> Any:
        budget = Budget.current()
        budget.step()
        values = [*args, *kwargs.values()]
        check_widths(values)
        texts = [value for value in values if isinstance(value, str)]
        if texts and function.__name__ == "do_format":
            check_format(texts[0])
        elif texts and function.__name__ in {"do_replace", "do_join", "sync_do_join"}:
            # At the most, each character or item of the first makes one copy of the last.
            budget.build(max(map(size, values)) * max(1, len(texts[-1])))
        return function(*args, **kwargs)

    # Jinja reads from a function's attributes whether to pass it the environment or the context.
    checked.__dict__.update(function.__dict__)
    return checked
