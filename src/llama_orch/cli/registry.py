# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands as data: `orch WORD` imports the module of WORD and nothing else.

`COMMANDS` maps the word to ("module:attribute", one line of help); the attribute is a `Command` or a `Group`.
`SECTIONS` is the order of `orch --help`. A word that is not here may be an applet: `APPLETS` finds it.
"""

from __future__ import annotations

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("llama_orch.cli.run.command:RUN", "Ask once; the answer streams to stdout"),
    "chat": ("llama_orch.cli.chat.command:CHAT", "Hold a conversation on the terminal"),
    "serve": ("llama_orch.cli.serve.command:SERVE", "Serve models to any OpenAI, Anthropic or Ollama client"),
    "tap": ("llama_orch.cli.tap.command:TAP", "Run a tap with accounts, keys and prepaid credits"),
    "applet": ("llama_orch.cli.applet.command:APPLET", "List and run applets (also: orch NAME)"),
    "models": ("llama_orch.cli.models.command:MODELS", "Fetch, list, link, verify and remove models"),
    "pull": ("llama_orch.cli.pull.command:PULL", "Fetch a model (orch models pull)"),
    "ls": ("llama_orch.cli.models.command:LS", "List the models (orch models ls)"),
    "show": ("llama_orch.cli.models.command:SHOW", "Show one model (orch models show)"),
    "rm": ("llama_orch.cli.models.command:RM", "Remove a model (orch models rm)"),
    "ps": ("llama_orch.cli.ps.command:PS", "List the running workers"),
    "stop": ("llama_orch.cli.ps.command:STOP", "Stop a running worker, or all"),
    "engine": ("llama_orch.cli.engine.command:ENGINE", "Build llama.cpp for this machine, and choose which build runs"),
    "target": ("llama_orch.cli.target.command:TARGET", "Choose where answers come from"),
    "auth": ("llama_orch.cli.auth.command:AUTH", "Store, show and remove keys"),
    "credits": ("llama_orch.cli.credits.command:CREDITS", "Show the balance at a tap, and how long it lasts"),
    "usage": ("llama_orch.cli.usage.command:USAGE", "Show what was used at a tap, and what it cost"),
    "config": ("llama_orch.cli.config.command:CONFIG", "Read and write settings, and tell where each comes from"),
    "logs": ("llama_orch.cli.logs.command:LOGS", "The log of your conversations on this machine"),
    "doctor": ("llama_orch.cli.doctor.command:DOCTOR", "Check the installation; name what mends it"),
    "completion": ("llama_orch.cli.completion.command:COMPLETION", "Print the completion script of a shell"),
    "help": ("llama_orch.cli.help.command:HELP", "Explain a command or a topic"),
}

SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Ask", ("run", "chat", "applet")),
    ("Serve", ("serve", "tap")),
    ("Models", ("models", "pull", "ls", "show", "rm", "ps", "stop", "engine")),
    ("Targets, keys and credits", ("target", "auth", "credits", "usage")),
    ("House", ("config", "logs", "doctor", "completion", "help")),
)

# What `orch help` explains besides; `help/topics.py` holds the pages.
TOPIC_NAMES = ("exit-codes", "environment", "targets", "models", "serving", "config", "json", "privacy")

# The word that TAB asks with; not for people, so it is in no list.
COMPLETE_WORD = "_complete"

# "module" with `find(word, out) -> Command | None` and `names() -> tuple[str, ...]`.
APPLETS = "llama_orch.cli.applet.command"
