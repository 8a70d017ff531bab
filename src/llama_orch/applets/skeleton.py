# SPDX-License-Identifier: GPL-3.0-or-later
"""A new applet's folder, from the texts in `template/`. What it writes is the user's own (CC0-1.0)."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Template

from llama_orch_utils.errors import AppletError

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


def write(name: str, folder: Path, licence: str, summary: str) -> list[Path]:
    """Writes it; the files. Raises AppletError for a name that will not do, and where something is already."""
    import keyword

    module, function = f"applet_{name.replace('-', '_')}", name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(function):
        raise AppletError(f"{name} cannot be the name of an applet", hint="orch applet new my-applet")
    if '"' in summary + licence or "\n" in summary + licence or "\\" in summary + licence:
        raise AppletError("a summary is one line without quotes", hint=f"orch applet new {name}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AppletError(f"{folder} is there already, and not empty", hint=f"orch applet new {name} --into FOLDER")
    values = {"id": name, "module": module, "function": function, "licence": licence, "summary": summary}
    values |= {"text_place": "{text}", "language_place": "{language}"}
    places = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "applet.toml": f"src/{module}/applet.toml",
        "code.py": f"src/{module}/__init__.py",
        "prompt.md": f"src/{module}/prompts/{name}.md",
        "test.py": f"tests/test_{function}.py",
        "recorded.jsonl": "tests/recorded.jsonl",
    }
    made: list[Path] = []
    template = files("llama_orch.applets").joinpath("template")
    for source, place in places.items():
        text = Template(template.joinpath(f"{source}.txt").read_text("utf-8")).substitute(values)
        path = folder / place
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        except OSError as error:
            raise AppletError(
                f"cannot write {path}: {error.strerror}", hint="choose another folder: --into FOLDER"
            ) from error
        made.append(path)
    return made
