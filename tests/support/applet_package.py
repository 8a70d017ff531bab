# SPDX-License-Identifier: GPL-3.0-or-later
"""Applets for tests, laid out as an installer leaves them: a package with manifest and prompts, metadata beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

MANIFEST = """\
id = "{id}"
version = "1.0"
summary = "{summary}"
licence = "Apache-2.0"
api = 1
"""
SHOUT = """\
import os, sys, time
from typing import Literal
from pydantic import BaseModel, Field
from llama_orch_utils.applets import Argument, Context, applet

class Asked(BaseModel):
    text: Argument = Field(description="what to say")
    times: int = Field(2, description="how often")
    pitch: float | None = Field(None, description="how high")
    way_out: Literal["left", "right"] = Field("left", description="where")
    tags: list[str] = []
    more: dict[str, int] = {}
    does: Literal["say", "fail", "hang", "print", "die", "exit", "odd", "ask", "nap"] = "say"

class Said(BaseModel):
    words: str
    given: dict[str, object] = {}

@applet(__package__)
def shout(asked: Asked, context: Context) -> Said:
    match asked.does:
        case "fail":
            raise ValueError("the applet's own mistake")
        case "hang":
            time.sleep(600)
        case "nap":
            context.progress(1, 2, "napping")
            time.sleep(1)
        case "print":
            print("printed, and not for the wire")
            os.write(1, b"{also by number\\n")
        case "die":
            os.write(2, b"my last words\\n")
            os._exit(7)
        case "exit":
            sys.exit(3)
        case "odd":
            return {"wrong": 1}
        case "ask":
            return Said(words=context.client.chat(context.prompt("shout", asked=asked), max_tokens=8).text)
        case _:
            pass
    context.progress(1, 2, "halfway")
    return Said(words=" ".join([asked.text.upper()] * asked.times), given=asked.model_dump(mode="json"))
"""


def package(
    folder: Path,
    code: str = SHOUT,
    *,
    name: str = "shout",
    manifest: str | None = None,
    prompts: Mapping[str, str] | None = None,
    module: str | None = None,
    distribution: str | None = None,
) -> None:
    """Lays down one applet whose function is called `name`."""
    module = module or f"applet_of_{name}"
    distribution = distribution or f"{name}-package"
    inner = folder / module
    (inner / "prompts").mkdir(parents=True)
    (inner / "__init__.py").write_text(code)
    written = MANIFEST.format(id=name, summary="Say it louder") if manifest is None else manifest
    if prompts is None:
        prompts = {"shout": "Say {asked.text} {{louder}}."}
        written += '[prompts]\nshout = ["asked"]\n' if manifest is None else ""
    (inner / "applet.toml").write_text(written)
    for each, text in prompts.items():
        (inner / "prompts" / f"{each}.md").write_text(text)
    points(folder, {name: f"{module}:{name}"}, distribution)


def points(folder: Path, entries: Mapping[str, str], distribution: str) -> None:
    """The metadata of a distribution with these entry points."""
    metadata = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
    (metadata / "entry_points.txt").write_text(f"[llama_orch.applets.v1]\n{lines}")
