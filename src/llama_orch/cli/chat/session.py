# SPDX-License-Identifier: GPL-3.0-or-later
"""A conversation: what was said so far, with whom, and what it used."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from llama_orch.cli.chat.tools import Tools
from llama_orch.cli.run import exchange, past, record, sampling, sink
from llama_orch.cli.run.connection import DEMO_NOTICE, Connection, connect
from llama_orch.cli.run.refusal import explained
from llama_orch_utils.errors import ModelNotFound, RequestError

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.cli.run.asking import Asking
    from llama_orch.cli.run.exchange import Exchange
    from llama_orch_utils.types import Message

_MEND = "/clear forgets what was said so far; orch chat --context N gives it more room"
# What a target answers that lists no models; it may still answer questions.
_NO_LIST = (404, 405, 501)


class Session:
    """One conversation. `ask` and `switch` raise OrchError and leave the conversation as it was."""

    def __init__(self, options: Asking, out: Output) -> None:
        self._out = out
        self._asked = sampling.read(options.options)
        self.tools = Tools(options, out)
        self.thoughts = options.reasoning != "hide"
        before = past.wanted(options)
        self._options = past.resumed(options, before)
        self.system = options.system or before.system
        self.said: list[Message] = [*before.messages]
        self.totals = {"input_tokens": 0, "cached_tokens": 0, "output_tokens": 0, "answers": 0}
        self._id = before.id
        self.connection: Connection = connect(self._options, out)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.client.close()

    def greeting(self) -> str:
        """Who answers, and how to go on."""
        lines = [DEMO_NOTICE] if self.connection.demo else []
        if self.said:
            lines.append(f"Going on with {self._id}, {len(self.said) // 2} turns so far.")
        return "\n".join([*lines, f"{self.partner()}. /help lists the words, ^D ends."])

    def partner(self) -> str:
        """The model and the target, in words."""
        model = self.connection.model or ("orch-demo" if self.connection.local else "its model")
        return f"{model} at {self.connection.target}"

    def ask(self, text: str) -> None:
        """Ask, show, log; `^C` ends the answer only, and what came of it counts as said."""
        question: Message = {"role": "user", "content": text}
        first: list[Message] = [{"role": "system", "content": self.system}] if self.system else []
        messages = [*first, *self.said, question]
        held = exchange.hold(
            self.connection,
            messages,
            self._asked | self.tools.options,
            lambda: sink.streaming(self._out),
            self._out,
            thoughts=self.thoughts,
        )
        if held.answer is not None and held.answer.messages:
            self.said += [question, *held.answer.messages]
        elif held.text and (held.error is None or isinstance(held.error, KeyboardInterrupt)):
            self.said.append(question)
            self.said.append({"role": "assistant", "content": held.text})
        if not self._options.no_log:
            kept = record.keep(held, self.connection, text, self.system, self._id, self._out)
            self._id = kept or self._id
        self._conclude(held)

    def clear(self) -> None:
        """Forget what was said; the log keeps it, and what follows is another conversation there."""
        self.said, self._id = [], ""

    def switch(self, **changes: Any) -> None:
        """Go on with another model or target. Raises ModelNotFound (did you mean), ConfigError."""
        options = replace(self._options, **changes)
        connection = connect(options, self._out)
        try:
            _check(connection)
        except BaseException:
            connection.client.close()
            raise
        self.connection.client.close()
        self._options, self.connection = options, connection

    def _conclude(self, held: Exchange) -> None:
        """Count, and say how it ended."""
        out = self._out
        if held.answer is not None:
            data = record.as_data(held, self.connection, None)
            for name in ("input_tokens", "cached_tokens", "output_tokens"):
                self.totals[name] += data[name]
            self.totals["answers"] += 1
            if self._options.usage:
                out.note(record.usage_line(held))
            if held.ending == "length":
                out.note("(the answer ends here because max_tokens or the context was reached)")
        elif isinstance(held.error, KeyboardInterrupt):
            out.note(f"({record.interrupted_line(held, self.connection)})")
        elif held.error is not None:
            raise explained(held.error, self.connection, _MEND)


def _check(connection: Connection) -> None:
    """Whether the model is there: to be told now is better than with the next question."""
    if connection.local:
        from llama_orch.models import Store

        Store().resolve(connection.model)
        return
    try:
        names = [model.id for model in connection.client.models()]
    except RequestError as error:
        if error.status in _NO_LIST:
            return
        raise
    if connection.model is not None and connection.model not in names:
        from llama_orch.cli.suggest import nearest

        near = nearest(connection.model, names)
        meant = f"; did you mean '{near[0]}'?" if near else ""
        raise ModelNotFound(
            f"{connection.target} has no model '{connection.model}'{meant}",
            near_misses=near,
            hint=f"/model {near[0]}" if near else f"orch models ls -t {connection.target}",
        )
