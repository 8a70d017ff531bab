# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch completion SHELL`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.options import Printing, argument

if TYPE_CHECKING:
    from llama_orch.cli.output import Output

SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True, kw_only=True)
class Completion(Printing):
    """Print the script that makes TAB complete commands, options and names.

    bash: add  eval "$(orch completion bash)"  to ~/.bashrc.
    zsh:  add  eval "$(orch completion zsh)"   to ~/.zshrc, after compinit.
    fish: orch completion fish > ~/.config/fish/completions/orch.fish
    """

    shell: str = argument("SHELL", help="the shell", choices=SHELLS, complete="shell")


def completion(options: Completion, out: Output) -> None:
    """The script on stdout."""
    from llama_orch.cli.completion.scripts import SCRIPTS

    script = SCRIPTS[options.shell]
    if out.mode == "human":
        out.write(script)
    else:
        out.record({"shell": options.shell, "script": script}, key="shell")


COMPLETION = Command(
    "completion",
    Completion,
    completion,
    ('eval "$(orch completion bash)"', "orch completion fish > ~/.config/fish/completions/orch.fish"),
    {"shell": "its name", "script": "what the shell has to read"},
)
