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
    means standard input. Without any of them, on a terminal, it is orch chat. Files of -a go by their names: texts
    before the question, images only to a model that sees.
    """

    prompt: tuple[str, ...] = argument("PROMPT", help="the question; - for standard input", required=False, many=True)
    files: tuple[str, ...] = option(
        "-f", "--fragment", value="FILE", many=True, complete="file", help="put a file's text before the question"
    )
    attachments: tuple[str, ...] = option(
        "-a", "--attachment", value="FILE", many=True, complete="file",
        help="a text or an image beside the question: a file, an http(s) address, or - for standard input",
    )  # fmt: skip
    schema: str | None = option(
        "--schema", value="SCHEMA", complete="file",
        help="answer in JSON that fits this JSON Schema: a file, the schema itself, or its short form 'name, age int'",
    )  # fmt: skip
    extract: bool = flag("-x", "--extract", help="print only the first fenced code block")
    no_stream: bool = flag("--no-stream", help="print the answer when it is whole")
    plan: bool = flag("--plan", help="tell where the model would go and what it would take there; load nothing")
    json: bool = flag("--json", help="print the answer and its counts as one line of JSON")


def run(options: Run, out: Output) -> int | None:
    """Ask, show, log; then raise what went wrong."""
    from llama_orch.cli.run import attaching, exchange, past, record
    from llama_orch.cli.run.connection import DEMO_NOTICE, connect
    from llama_orch.cli.run.prompt import assemble

    if options.quiet:
        out.mode = "quiet"  # also with --json: it is about the notes
    if options.plan:
        from llama_orch.cli.fit.plan import plan

        return plan(options, out)
    asked = _check(options, out)
    attachments = attaching.read(options.attachments)
    prompt = assemble(options.prompt, options.files, attached=options.attachments)
    if prompt is None:
        return _chat(options, out)
    before = past.wanted(options)
    connection = connect(past.resumed(options, before), out)
    if connection.demo:
        out.note(DEMO_NOTICE)
    system = options.system or before.system
    with connection.client:
        attaching.check(attachments, connection)
        messages = [*_first(before, system), attaching.question(prompt, attachments)]
        held = exchange.hold(
            connection, messages, asked, lambda: _sink(options, out), out, thoughts=options.reasoning != "hide"
        )
    shown = _print_kept(options, held, out)
    said = attaching.logged(prompt, attachments)
    cid = None if options.no_log else record.keep(held, connection, said, system, before.id, out)
    _tell(options, held, connection, cid, out)
    if held.error is not None:
        from llama_orch.cli.run.refusal import explained

        raise explained(held.error, connection)
    if options.schema is not None:
        _check_schema(held, asked.get("max_tokens"))
    if not shown:
        hint = "orch logs show" if cid else "run it without -x"
        raise OrchError("the answer holds no fenced code block", code="no_code", hint=hint)
    return None


def _check_schema(held: Exchange, most: int | None) -> None:
    from llama_orch.cli.run.schema import check_whole

    assert held.answer is not None, "without an error there is an answer"
    check_whole(held.text, held.ending, held.answer.usage.output_tokens, most)


def _check(options: Run, out: Output) -> dict[str, Any]:
    """The options of the call. Raises UsageError for what does not go together."""
    from llama_orch.cli.run import sampling, tooling

    if options.extract and options.json:
        raise UsageError("-x and --json exclude each other", hint="orch run --json ... | jq -r .text")
    if options.extract and options.schema is not None:
        raise UsageError("-x and --schema exclude each other: such an answer is JSON alone", hint="leave -x out")
    if options.resume and options.conversation is not None:
        raise UsageError("-c and --cid exclude each other", hint="orch run --cid ID 'the question'")
    asked = sampling.read(options.options)
    if options.schema is not None:
        from llama_orch.cli.run.schema import response_format

        asked["response_format"] = response_format(options.schema)
    return asked | tooling.options_of(options, out)


def _chat(options: Run, out: Output) -> int | None:
    """No question and a terminal: hold a conversation, unless something was asked for that only one answer can have."""
    if not out.stdout.isatty() or options.extract or options.json or options.schema or options.no_stream:
        raise UsageError("there is no prompt", hint="orch run 'Why is the sky blue?'")
    from dataclasses import fields

    from llama_orch.cli.chat.command import Chat, chat

    return chat(Chat(**{each.name: getattr(options, each.name) for each in fields(Asking)}), out)


def _first(before: Past, system: str | None) -> list[Any]:
    """What comes before the question."""
    first = [{"role": "system", "content": system}] if system else []
    return [*first, *before.messages]


def _sink(options: Run, out: Output) -> Sink:
    from llama_orch.cli.run import sink

    # JSON that is cut is no JSON: of --schema, nothing is printed before it is whole.
    if options.json or options.extract or options.no_stream or options.schema is not None:
        return sink.Kept()
    return sink.streaming(out)


def _print_kept(options: Run, held: Exchange, out: Output) -> bool:
    """Print what was not streamed, also of a broken answer; False when -x finds nothing to print."""
    if options.json or not (options.extract or options.no_stream or options.schema is not None):
        return True
    if options.schema is not None and (held.answer is None or held.ending == "length"):
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
    if held.ending == "length" and options.schema is None:
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
        "orch run --schema 'name, wingspan float: in metres' 'Name a bird'",
        "orch run -a report.txt 'Three lines about this'",
        "orch run --tool weather.py:weather 'Do I need a coat in Utrecht?'",
        "orch run --plan --context 32768",
    ),
    KEYS,
)
