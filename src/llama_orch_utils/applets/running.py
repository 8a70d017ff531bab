# SPDX-License-Identifier: Apache-2.0
"""Running an applet: its inputs read from what was given, its output as pieces of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from llama_orch_utils.applets.applet import Applet, AppletInputs, Input, InputValue
from llama_orch_utils.errors import AppletError, BadRequest, OrchError

if TYPE_CHECKING:
    from llama_orch_utils.client.blocking import Client

_WORDS = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}


def read_inputs(applet: Applet, given: Mapping[str, InputValue]) -> dict[str, InputValue]:
    """Every declared input, converted (text from a command line included), with defaults filled in.

    Raises BadRequest for an unknown, missing or unfit input; `param` is its JSON pointer.
    """
    declared = {item.name: item for item in applet.inputs}
    if unknown := sorted(set(given) - set(declared)):
        raise _unfit(applet, unknown[0], "is not one of its inputs")
    values: dict[str, InputValue] = {}
    for name, item in declared.items():
        value = given.get(name)
        if value is not None:
            values[name] = _converted(applet, item, value)
        elif item.required:
            raise _unfit(applet, name, "is missing")
        else:
            values[name] = False if item.kind == "flag" and item.default is None else item.default
    return values


def pieces(applet: Applet, client: Client, inputs: AppletInputs) -> Iterator[str]:
    """Run it; the text as it comes. What is no error of the tree becomes an AppletError that names the applet."""
    try:
        output = applet.run(client, inputs)
        if isinstance(output, str):
            yield output
            return
        for piece in output:
            text = piece if isinstance(piece, str) else piece.text
            if text:
                yield text
    except OrchError:
        raise
    except Exception as error:
        raise AppletError(f"applet {applet.name} failed: {type(error).__name__}: {error}") from error


def _converted(applet: Applet, item: Input, value: InputValue) -> InputValue:
    match item.kind:
        case "text" | "document":
            return value if isinstance(value, str) else str(value)
        case "integer" | "number":
            return _number(applet, item, value)
        case "flag":
            found = value if isinstance(value, bool) else _WORDS.get(str(value).lower())
            if found is None:
                raise _unfit(applet, item.name, "must be true or false")
            return found
        case "choice":
            if value not in item.choices:
                raise _unfit(applet, item.name, "must be one of " + ", ".join(item.choices))
            return value


def _number(applet: Applet, item: Input, value: InputValue) -> int | float:
    words = "must be a whole number" if item.kind == "integer" else "must be a number"
    try:
        number = int(str(value)) if item.kind == "integer" else float(str(value))
    except ValueError as error:
        raise _unfit(applet, item.name, words) from error
    if number != number or number in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN is not equal to itself
        raise _unfit(applet, item.name, words)
    return number


def _unfit(applet: Applet, name: str, words: str) -> BadRequest:
    return BadRequest(f"applet {applet.name}: {name} {words}", param=f"/{name}", hint=f"orch {applet.name} --help")
