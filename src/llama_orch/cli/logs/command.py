# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch logs ls | show | rm | path | off | on`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command, Group
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import Printing, argument, flag, option
from llama_orch_utils.errors import OrchError

if TYPE_CHECKING:
    from llama_orch.cli.logs.store import Turn
    from llama_orch.cli.output import Output

_LS_KEYS = {
    "id": "what orch logs show takes",
    "started_at": "ISO 8601, UTC",
    "ended_at": "ISO 8601, UTC",
    "turns": "questions and answers",
    "target": "where the first answer came from",
    "model": "which model gave it",
    "prompt": "the first question",
}
_SHOW_KEYS = {
    "prompt": "what was asked",
    "answer": "what was answered",
    "target": "where it came from",
    "model": "which model gave it",
    "conversation": "the id of the conversation",
    "system": "the system prompt, or null",
    "reasoning": "what the model thought first",
    "finish_reason": "stop, length, interrupted or error",
    "input_tokens": "tokens of the prompt",
    "output_tokens": "tokens of the answer",
    "cached_tokens": "those of the prompt that were not computed anew",
    "cost": "micro-euros, or null where nothing is charged",
    "milliseconds": "from the question to the end of the answer",
    "request_id": "as the target named it",
    "at": "ISO 8601, UTC",
}


@dataclass(frozen=True, kw_only=True)
class Ls(Printing):
    """List the latest conversations."""

    count: int = option("-n", "--count", value="N", kind=int, default=20, bounds=(1, 100000), help="how many at most")
    search: str | None = option("-s", "--search", value="TEXT", help="only those that hold this text")
    model: str | None = option("-m", "--model", value="MODEL", help="only those with this model", complete="model")


@dataclass(frozen=True, kw_only=True)
class Show(Printing):
    """Print a conversation: the latest, or the one that is named."""

    conversation: str | None = argument("ID", help="as orch logs ls shows it", required=False)


@dataclass(frozen=True, kw_only=True)
class Rm(Printing):
    """Forget a conversation, or all; what is forgotten is overwritten."""

    conversation: str | None = argument("ID", help="as orch logs ls shows it", required=False)
    everything: bool = flag("--all", help="forget every conversation")


@dataclass(frozen=True, kw_only=True)
class Path(Printing):
    """Print the path of the conversation log."""


@dataclass(frozen=True, kw_only=True)
class Off(Printing):
    """Log no conversations from now on; what was logged stays (orch logs rm --all forgets it)."""


@dataclass(frozen=True, kw_only=True)
class On(Printing):
    """Log conversations again."""


def ls(options: Ls, out: Output) -> None:
    """The latest conversations, newest first."""
    from llama_orch.cli.logs import store
    from llama_orch.cli.output import one_line

    found = store.conversations(options.count, options.search, options.model)
    rows = [{name: getattr(each, name) for name in _LS_KEYS} for each in found]
    columns = {"id": None, "started_at": None, "turns": None, "model": None, "prompt": one_line}
    out.table(rows, columns, key="id", empty="no conversation is logged")


def show(options: Show, out: Output) -> None:
    """Every turn of one conversation."""
    from dataclasses import asdict

    from llama_orch.cli.logs import store

    wanted = options.conversation or _latest()
    found = store.turns(wanted)
    if not found:
        raise _unknown(wanted)
    if out.json:
        out.data([asdict(each) for each in found])
    elif out.quiet:
        out.line(wanted)
    else:
        out.write("\n".join(_page(each, out) for each in found))


def rm(options: Rm, out: Output) -> None:
    """Forget one conversation, or all of them."""
    from llama_orch.cli.logs import store

    if (options.conversation is None) != options.everything:
        raise UsageError("name one conversation, or say --all", hint="orch logs ls")
    removed = store.remove(options.conversation)
    if not removed and options.conversation:
        raise _unknown(options.conversation)
    if out.json:
        out.data({"turns": removed})
    else:
        out.note(f"forgot {removed} turn{'' if removed == 1 else 's'}")


def path(_options: Path, out: Output) -> None:
    """Where the log lies, also when there is none yet."""
    from llama_orch.cli.logs import store

    file = str(store.log_file())
    out.data({"path": file, "logging": store.enabled()}) if out.json else out.line(file)


def off(_options: Off, out: Output) -> None:
    """Off for good."""
    _switch(out, on=False)


def on(_options: On, out: Output) -> None:
    """On again."""
    _switch(out, on=True)


def _switch(out: Output, *, on: bool) -> None:
    from llama_orch_utils import config

    config.set_value("log", on)
    counts = config.load().get("log")
    if counts.value is not on:
        out.warn(f"logging stays {'off' if on else 'on'}: {counts.origin} counts before your config.toml")
    if out.json:
        out.data({"logging": counts.value})
    else:
        out.note(f"conversations are {'' if counts.value else 'not '}logged")


def _latest() -> str:
    from llama_orch.cli.logs import store

    found = store.conversations(1)
    if not found:
        raise OrchError("no conversation is logged yet", hint="orch run 'Hello'", code="not_found")
    return found[0].id


def _unknown(conversation: str) -> OrchError:
    return OrchError(f"there is no conversation '{conversation}'", hint="orch logs ls", code="not_found")


def _page(turn: Turn, out: Output) -> str:
    """A turn for people: a line about it, the question behind `>`, the answer."""
    tokens = f"{turn.input_tokens}+{turn.output_tokens} tokens"
    about = f"{turn.at}  {turn.model} at {turn.target}, {tokens}, {turn.finish_reason}"
    asked = "\n".join(f"> {line}" for line in turn.prompt.splitlines() or [""])
    return f"{out.paint(about, 'dim')}\n{out.paint(_shown(asked), 'bold')}\n\n{_shown(turn.answer)}\n"


def _shown(text: str) -> str:
    from llama_orch.cli.output import printable

    return printable(text)


_LOGGING = {"logging": "whether conversations are logged now"}
LOGS = Group(
    "logs",
    "The log of your conversations on this machine",
    (
        Command("logs ls", Ls, ls, ("orch logs ls", "orch logs ls --search tap --json"), _LS_KEYS),
        Command("logs show", Show, show, ("orch logs show", "orch logs show --json"), _SHOW_KEYS),
        Command("logs rm", Rm, rm, ("orch logs rm --all",), {"turns": "how many were forgotten"}),
        Command("logs path", Path, path, ("orch logs path",), {"path": "the SQLite file", **_LOGGING}),
        Command("logs off", Off, off, ("orch logs off",), _LOGGING),
        Command("logs on", On, on, ("orch logs on",), _LOGGING),
    ),
    default="ls",
)
