# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch run [PROMPT]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llama_orch.cli.command import Command
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import argument, flag, option
from llama_orch.cli.run.asking import Asking
from llama_orch.cli.run.record import KEYS
from llama_orch_utils.errors import OrchError

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.cli.run.connection import Connection
    from llama_orch.cli.run.exchange import Exchange
    from llama_orch.cli.run.past import Past
    from llama_orch.cli.run.sink import Sink


@dataclass(frozen=True, kw_only=True)
class Run(Asking):
    """Ask once; the answer streams to stdout.

    What comes on standard input goes first, then the files of -f, then the words, with blank lines between. A single -
    means standard input. Without any of them, on a terminal, it is orch chat.
    """

    prompt: tuple[str, ...] = argument("PROMPT", help="the question; - for standard input", required=False, many=True)
    files: tuple[str, ...] = option(
        "-f", "--fragment", value="FILE", many=True, complete="file", help="put a file's text before the question"
    )
    schema: str | None = option(
        "--schema", value="SCHEMA", help="answer in JSON that fits this JSON Schema: a file, or the schema itself",
        complete="file",
    )  # fmt: skip
    extract: bool = flag("-x", "--extract", help="print only the first fenced code block")
    no_stream: bool = flag("--no-stream", help="print the answer when it is whole")
    json: bool = flag("--json", help="print the answer and its counts as one line of JSON")


def run(options: Run, out: Output) -> int | None:
    """Ask, show, log; then raise what went wrong."""
    from llama_orch.cli.run import exchange, past, record
    from llama_orch.cli.run.connection import DEMO_NOTICE, connect
    from llama_orch.cli.run.prompt import assemble

    if options.quiet:
        out.mode = "quiet"  # also with --json: it is about the notes
    asked = _check(options)
    prompt = assemble(options.prompt, options.files)
    if prompt is None:
        return _chat(options, out)
    before = past.wanted(options)
    connection = connect(past.resumed(options, before), out)
    if connection.demo:
        out.note(DEMO_NOTICE)
    system = options.system or before.system
    with connection.client:
        held = exchange.hold(connection, _messages(before, system, prompt), asked, lambda: _sink(options, out), out)
    shown = _print_kept(options, held, out)
    cid = None if options.no_log else record.keep(held, connection, prompt, system, before.id, out)
    _tell(options, held, connection, cid, out)
    if held.error is not None:
        from llama_orch.cli.run.refusal import explained

        raise explained(held.error, connection)
    if not shown:
        hint = "orch logs show" if cid else "run it without -x"
        raise OrchError("the answer holds no fenced code block", code="no_code", hint=hint)
    return None


def _check(options: Run) -> dict[str, Any]:
    """The options of the call. Raises UsageError for what does not go together."""
    from llama_orch.cli.run import sampling

    if options.extract and options.json:
        raise UsageError("-x and --json exclude each other", hint="orch run --json ... | jq -r .text")
    if options.resume and options.conversation is not None:
        raise UsageError("-c and --cid exclude each other", hint="orch run --cid ID 'the question'")
    asked = sampling.read(options.options)
    if options.schema is not None:
        from llama_orch.cli.run.schema import response_format

        asked["response_format"] = response_format(options.schema)
    return asked


def _chat(options: Run, out: Output) -> int | None:
    """No question and a terminal: hold a conversation, unless something was asked for that only one answer can have."""
    if not out.stdout.isatty() or options.extract or options.json or options.schema or options.no_stream:
        raise UsageError("there is no prompt", hint="orch run 'Why is the sky blue?'")
    from dataclasses import fields

    from llama_orch.cli.chat.command import Chat, chat

    return chat(Chat(**{each.name: getattr(options, each.name) for each in fields(Asking)}), out)


def _messages(before: Past, system: str | None, prompt: str) -> list[Any]:
    first = [{"role": "system", "content": system}] if system else []
    return [*first, *before.messages, {"role": "user", "content": prompt}]


def _sink(options: Run, out: Output) -> Sink:
    from llama_orch.cli.run import sink

    if options.json or options.extract or options.no_stream:
        return sink.Kept()
    return sink.streaming(out, markdown=options.schema is None)


def _print_kept(options: Run, held: Exchange, out: Output) -> bool:
    """Print what was not streamed, also of a broken answer; False when -x finds nothing to print."""
    if options.json or not (options.extract or options.no_stream):
        return True
    if not options.extract:
        from llama_orch.cli.run import sink

        whole = sink.streaming(out, markdown=options.schema is None)
        whole.write(held.text)
        whole.finish()
        return True
    from llama_orch.cli.run import fence

    code = fence.first(held.text) if held.answer is not None else ""
    out.write(code or "")
    return code is not None


def _tell(options: Run, held: Exchange, connection: Connection, cid: str | None, out: Output) -> None:
    """The record, and the notes on stderr."""
    from llama_orch.cli.run import record

    if options.json and held.answer is not None:
        out.data(record.as_data(held, connection, cid), compact=True)
    out.stdout.flush()
    if isinstance(held.error, KeyboardInterrupt):
        out.note(record.interrupted_line(held, connection))
    elif options.usage and held.pieces:
        print(record.usage_line(held), file=out.stderr, flush=True)
    if held.ending == "length":
        out.note("note: the answer ends here because max_tokens or the context was reached (-o max_tokens, --context)")


RUN = Command(
    "run",
    Run,
    run,
    (
        "orch run 'What is the Public Tap?'",
        "orch run -m ./qwen3-0.6b-q8_0.gguf 'Why is the sky blue?'",
        "git diff | orch run 'Write a commit message'",
        "orch run -o temperature=0.2 -o seed=1 -u 'Name three birds'",
        "orch run -c 'And a fourth?'",
    ),
    KEYS,
)
