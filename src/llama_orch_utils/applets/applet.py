# SPDX-License-Identifier: Apache-2.0
"""What an applet is: a record."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llama_orch_utils.errors import AppletError
from llama_orch_utils.types import Piece

if TYPE_CHECKING:
    from llama_orch_utils.client.blocking import Client

API_VERSION = 1

InputKind = Literal["text", "document", "integer", "number", "flag", "choice"]
InputValue = str | int | float | bool | None
AppletInputs = Mapping[str, InputValue]
AppletOutput = str | Iterable[str | Piece]

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Input:
    """One parameter of an applet.

    `kind`: `text`; `document` (a text that a command reads from a file, or from stdin for `-`); `integer`;
    `number`; `flag` (true or false, false unless given); `choice` (one of `choices`). A `required` one must be given;
    any other is its `default`, or None.
    """

    name: str
    help: str
    kind: InputKind = "text"
    default: InputValue = None
    required: bool = False
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a name that cannot be an option, and a choice without choices."""
        if not _NAME.fullmatch(self.name):
            raise AppletError(
                f"{self.name!r} cannot be the name of an input", hint="use small letters, digits, - and _"
            )
        if (self.kind == "choice") != bool(self.choices):
            raise AppletError(f"input {self.name}: choices belong to the kind `choice`, and only to it")


@dataclass(frozen=True, slots=True)
class Applet:
    """One applet. `run(client, inputs)` gives the text, or yields it in pieces.

    `inputs` hold every declared input by name, converted and with defaults filled in. `client` is a `Client` for
    the target that the user chose. Errors of the tree pass through `run` as they are.
    """

    name: str
    help: str
    run: Callable[[Client, AppletInputs], AppletOutput]
    inputs: tuple[Input, ...] = ()
    api_version: int = API_VERSION

    def __post_init__(self) -> None:
        """Refuse a name that cannot be a command, a version that this package does not speak, a repeated input."""
        if not _NAME.fullmatch(self.name):
            raise AppletError(
                f"{self.name!r} cannot be the name of an applet", hint="use small letters, digits, - and _"
            )
        if self.api_version != API_VERSION:
            raise AppletError(
                f"applet {self.name} speaks version {self.api_version} of the applet API, this is {API_VERSION}",
                hint="pip install --upgrade llama-orch-utils",
            )
        if len({item.name for item in self.inputs}) != len(self.inputs):
            raise AppletError(f"applet {self.name} declares an input twice")
