# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the reference pages under docs/reference from where things are declared; `--check` only compares."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
HEAD = "<!-- SPDX-License-Identifier: GPL-3.0-or-later -->\n<!-- Made by scripts/gen_reference.py: do not edit. -->\n\n"


def cli_page() -> str:
    """Every command with its help page."""
    from llama_orch.cli.help.topics import commands
    from llama_orch.cli.page import command_page, root_page

    pages = [f"## orch {command.path}\n\n```text\n{command_page(command)}```\n" for command in commands()]
    return "\n".join([f"# The `orch` command\n\n```text\n{root_page()}```\n", *pages])


def environment_page() -> str:
    """Every environment variable."""
    from llama_orch_utils.config.environment import markdown_table

    return (
        f"# Environment variables\n\nA flag counts before a variable, a variable before a file.\n\n{markdown_table()}"
    )


def exit_codes_page() -> str:
    """Every exit code."""
    from llama_orch.cli.failure import EXIT_CODES

    rows = "".join(f"| {code} | {words} |\n" for code, words in EXIT_CODES)
    errors = "An error is `error: what happened` on stderr, a blank line, and `hint: the exact next command`.\n"
    debug = "`ORCH_DEBUG=1` prints the traceback before it.\n"
    return f"# Exit codes\n\n| code | means |\n|---|---|\n{rows}\n{errors}{debug}"


def config_page() -> str:
    """Every setting."""
    from llama_orch.cli.output import written
    from llama_orch_utils.config.settings import SETTINGS, TARGET_FIELDS

    rows = [
        f"| `{name}` | {each.help} | {f'`{written(each.default)}`' if each.default is not None else ''} |"
        for name, each in SETTINGS.items()
    ]
    rows += [f"| `targets.NAME.{name}` | {each.help} | |" for name, each in TARGET_FIELDS.items()]
    told = (
        "Settings stand in `config.toml` (`orch config path`) and, for a project, in the `orch.toml` that is nearest\n"
        "upwards from the working directory. A flag counts before the environment, that before `orch.toml`, that\n"
        "before `config.toml`, and that before the default. `orch config ls --show-origin` tells which did.\n"
    )
    return f"# Settings\n\n{told}\n| setting | what it does | default |\n|---|---|---|\n" + "\n".join(rows) + "\n"


PAGES = {
    "cli.md": cli_page,
    "environment.md": environment_page,
    "exit-codes.md": exit_codes_page,
    "config.md": config_page,
}


def main() -> int:
    """Write or compare; 1 when a page is not current."""
    stale = []
    for name, made in PAGES.items():
        with contextlib.redirect_stdout(io.StringIO()):  # pages wrap at the width of a terminal, if there is one
            text = HEAD + made()
        path = FOLDER / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv[1:]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    what = "is not current: run scripts/gen_reference.py" if "--check" in sys.argv[1:] else "written"
    for name in stale:
        print(f"docs/reference/{name} {what}")
    return int(bool(stale) and "--check" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
