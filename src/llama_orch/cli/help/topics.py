# SPDX-License-Identifier: GPL-3.0-or-later
"""The help topics. Those that list something are made from where it is declared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from llama_orch.cli.page import rows

if TYPE_CHECKING:
    from llama_orch.cli.command import Command


def _exit_codes() -> str:
    from llama_orch.cli.failure import EXIT_CODES

    return "\n".join(rows((str(code), words) for code, words in EXIT_CODES))


def _environment() -> str:
    from llama_orch_utils.config.environment import VARIABLES

    lines = rows((each.name, _plain(each.help) + (" Never printed." if each.secret else "")) for each in VARIABLES)
    return "\n".join([*lines, "", "A flag counts before a variable, a variable before a file."])


def _config() -> str:
    from llama_orch_utils.config.settings import SETTINGS

    told = (
        "Settings stand in config.toml (orch config path) and, for a project, in the orch.toml that is\n"
        "nearest upwards from where you are. A flag counts before the environment, that before\n"
        "orch.toml, that before config.toml, and that before the default; orch config ls --show-origin\n"
        "tells which did.\n\n"
        "A project's file can neither send one of your keys to another host nor switch you to a paid\n"
        "target unasked.\n"
    )
    lines = rows((name, f"{_plain(each.help)}{_default(each.default)}") for name, each in SETTINGS.items())
    tail = rows([("targets.NAME.url", "The address of a target."), ("targets.NAME.model", "The model to use there.")])
    return "\n".join([told, *lines, *tail])


def _json() -> str:
    told = (
        "Every command that prints takes --json: one JSON value on stdout, with keys that stay; streams\n"
        "print one JSON value per line. Lists are arrays. Times are ISO 8601 in UTC, sizes bytes,\n"
        "durations seconds or what the key says, money micro-euros. What is not known is null.\n"
        "-q prints ids only, one per line.\n\nThe keys:\n"
    )
    lines = [told]
    for command in commands():
        if command.prints:
            lines += [f"  orch {command.path}", f"      {', '.join(command.prints)}"]
    return "\n".join(lines)


def commands() -> Iterator[Command[Any]]:
    """Every command once, in the order of the registry; those below a word with their whole path."""
    from llama_orch.cli.command import Command as CommandClass
    from llama_orch.cli.dispatch import load
    from llama_orch.cli.registry import COMMANDS

    seen: set[str] = set()
    for word in COMMANDS:
        found = load(word)
        for command in [found] if isinstance(found, CommandClass) else found.walk():
            if command.path not in seen:
                seen.add(command.path)
                yield command


def _targets() -> str:
    return """A target is where answers come from. All speak the same protocol, so one word moves you:

  local          a worker on this machine, started when it is needed, gone after keep_alive
  public         the Public Tap: prepaid credits, any model that it offers
  private:NAME   a Private Tap: yours alone
  https://...    any OpenAI-compatible server

  orch target add private:acme https://tap.acme.example/v1
  orch auth login private:acme
  orch run --target private:acme "Hello"
  orch target use private:acme

Nothing falls back from local to a paid target in silence."""


def _models() -> str:
    return """A model is a GGUF file with a name. llama-orch comes with a small demo, orch-demo, which knows
about llama-orch and nothing else. orch pull fetches others; a file of your own, and what Ollama, LM
Studio or the Hugging Face cache have, is used where it lies and never copied:

  orch pull qwen3:0.6b                       orch pull --list shows the catalogue
  orch models ls --found                     what other programs have; orch models link --found NAME
  orch models link ~/models/qwen3-0.6b-q8_0.gguf -n qwen3:0.6b
  orch run -m qwen3:0.6b "Hello"
  orch run -m ./some.gguf "Hello"            without a name
  orch config set model qwen3:0.6b           from now on

Its SHA-256 is recorded when it is linked; a file that changed since is refused, and orch models
verify reads all of them again. orch rm deletes what was fetched, and only forgets what was linked.
A prompt that does not fit the model's context is refused with both numbers: nothing is cut off."""


def _serving() -> str:
    from llama_orch.cli.serve.key import key_file

    return f"""orch serve turns this machine into a tap for every client that speaks OpenAI's, Anthropic's or
Ollama's protocol. With the defaults of orch serve the clients are set up so:

  export OPENAI_BASE_URL=http://127.0.0.1:8080/v1      OpenAI's packages, Continue, aider, Codex, ...
  export OPENAI_API_KEY=KEY
  export ANTHROPIC_BASE_URL=http://127.0.0.1:8080      Claude Code, Anthropic's packages
  export ANTHROPIC_AUTH_TOKEN=KEY
  export OLLAMA_HOST=http://127.0.0.1:8080             Ollama's clients; these send no key: --no-auth

KEY is ORCH_API_KEY where orch serve was started with it; else it was generated, and stands in
{key_file()}.
A request names its model; any that orch models ls shows is loaded when it is asked for, and what does
not fit in memory takes turns. Nobody is answered by another model than the one that was asked for.

Only this machine is let in, no web page is, and no foreign Host header. For others:

  export ORCH_API_KEY=...
  orch serve --host 0.0.0.0 --allow-host tap.example --cert tap.pem --key tap.key"""


def _privacy() -> str:
    from llama_orch.cli.logs.store import log_file
    from llama_orch_utils.secrets import key_file

    return f"""On the local target nothing leaves this machine. There is no telemetry, and no check for updates.

Your conversations are logged on this machine only (SQLite, readable by you only), in
{log_file()}:
  orch logs ls          what is in it
  orch logs rm --all    forget it
  orch logs off         stop logging, for good
  orch run -n ...       not this one
Keys are struck out before anything is written to it.

Keys are kept in the system's keyring or, without one, in a file of mode 0600,
{key_file()}.
A key belongs to one host and is sent to no other. ORCH_API_KEY counts before both. Keys are never
arguments: orch auth login asks for them."""


TOPICS: dict[str, tuple[str, Callable[[], str]]] = {
    "exit-codes": ("What the exit code tells", _exit_codes),
    "environment": ("The environment variables", _environment),
    "targets": ("Where answers come from", _targets),
    "models": ("Models and where they lie", _models),
    "serving": ("This machine as a tap", _serving),
    "config": ("Settings and which of them counts", _config),
    "json": ("Output for programs", _json),
    "privacy": ("What is kept, and where", _privacy),
}


def text(topic: str) -> str:
    """The page of a topic."""
    title, body = TOPICS[topic]
    return f"{title}\n\n{body()}\n"


def index() -> str:
    """The topics, a line each."""
    return "\n".join(["Topics (orch help TOPIC):", *rows((name, title) for name, (title, _) in TOPICS.items())]) + "\n"


def _plain(words: str) -> str:
    return words.replace("`", "")


def _default(value: object) -> str:
    from llama_orch.cli.output import written

    return "" if value is None else f" Default: {written(value)}."
