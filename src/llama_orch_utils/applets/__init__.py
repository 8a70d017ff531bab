# SPDX-License-Identifier: Apache-2.0
r"""The applet API, version 1: a typed function with a manifest and prompts, used five ways.

    from pydantic import BaseModel
    from llama_orch_utils.applets import Context, applet

    class Ticket(BaseModel):
        subject: str
        body: str

    class Triage(BaseModel):
        category: Literal["bug", "billing", "question"]

    @applet(__package__)
    def triage(ticket: Ticket, context: Context) -> Triage:
        return context.client.parse(context.prompt("triage", ticket=ticket), Triage, repairs=1)

with `applet.toml` and `prompts/triage.md` beside the module, and in its `pyproject.toml`

    [project.entry-points."llama_orch.applets.v1"]
    triage = "my_package:triage"
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from llama_orch_utils.facade import lazy

if TYPE_CHECKING:
    from llama_orch_utils.applets.applet import Applet as Applet
    from llama_orch_utils.applets.applet import Made as Made
    from llama_orch_utils.applets.applet import applet as applet
    from llama_orch_utils.applets.context import Context as Context
    from llama_orch_utils.applets.discovery import GROUP as GROUP
    from llama_orch_utils.applets.discovery import Found as Found
    from llama_orch_utils.applets.discovery import discover as discover
    from llama_orch_utils.applets.discovery import load as load
    from llama_orch_utils.applets.discovery import names as names
    from llama_orch_utils.applets.fields import Argument as Argument
    from llama_orch_utils.applets.fields import Document as Document
    from llama_orch_utils.applets.files import Files as Files
    from llama_orch_utils.applets.hosted import Hosted as Hosted
    from llama_orch_utils.applets.manifest import API_VERSION as API_VERSION
    from llama_orch_utils.applets.manifest import Manifest as Manifest
    from llama_orch_utils.applets.schema import schema as schema
    from llama_orch_utils.applets.schema import schemas as schemas

_HOMES = {
    "applet": "Applet Made applet",
    "context": "Context",
    "discovery": "GROUP Found discover load names",
    "fields": "Argument Document",
    "files": "Files",
    "hosted": "Hosted",
    "manifest": "API_VERSION Manifest",
    "schema": "schema schemas",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "API_VERSION",
    "GROUP",
    "Applet",
    "Argument",
    "Context",
    "Document",
    "Files",
    "Found",
    "Hosted",
    "Made",
    "Manifest",
    "applet",
    "discover",
    "load",
    "names",
    "schema",
    "schemas",
]

_load = lazy(__name__, _HOME_OF)


def __getattr__(name: str) -> object:
    return _load(name)


class _Package(ModuleType):
    """Its `applet` is the decorator, also after the import of the module of that name, which would take its place."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "applet" and isinstance(value, ModuleType):
            value = value.applet
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
