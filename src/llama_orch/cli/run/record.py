# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept and told of an exchange: the log's turn, the JSON record, the usage line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.cli.run.connection import Connection
    from llama_orch.cli.run.exchange import Exchange

KEYS = {
    "text": "the answer",
    "reasoning": "what the model thought first",
    "model": "which model gave it",
    "target": "where it came from",
    "finish_reason": "stop, or length where max_tokens or the context ended it",
    "input_tokens": "tokens of the prompt",
    "cached_tokens": "those of them that were not computed anew",
    "output_tokens": "tokens of the answer",
    "cost": "micro-euros, or null where nothing is charged",
    "milliseconds": "from the question to the end of the answer",
    "request_id": "as the target names it",
    "conversation": "what --cid takes, or null where nothing is logged",
    "steps": "how often the model was asked: more than once where tools were called",
    "tool_calls": "what it called: name, arguments, result, and whether that failed",
}

_LEAST_SECONDS = 0.2


def as_data(exchange: Exchange, connection: Connection, conversation: str | None) -> dict[str, Any]:
    """The exchange by the keys of `KEYS`."""
    from llama_orch.cli.run import steps

    answer = exchange.answer
    usage = answer.usage if answer is not None else None
    return {
        "text": exchange.text,
        "reasoning": exchange.reasoning,
        "model": answer.model if answer is not None else connection.model or "",
        "target": connection.target,
        "finish_reason": exchange.ending,
        "input_tokens": usage.input_tokens if usage is not None else 0,
        "cached_tokens": usage.cached_tokens if usage is not None else 0,
        "output_tokens": usage.output_tokens if usage is not None else exchange.pieces,
        "cost": answer.cost if answer is not None else None,
        "milliseconds": round(exchange.seconds * 1000),
        "request_id": answer.request_id if answer is not None else getattr(exchange.error, "request_id", None),
        "conversation": conversation,
        "steps": answer.steps if answer is not None else 1,
        "tool_calls": [steps.as_data(each) for each in exchange.results],
    }


def keep(
    exchange: Exchange, connection: Connection, prompt: str, system: str | None, conversation: str, out: Output
) -> str | None:
    """Log the exchange, if there is something to log; the id of its conversation. A log that fails is a warning."""
    if exchange.answer is None and not exchange.text and exchange.ending != "interrupted":
        return None
    from llama_orch.cli.logs import store
    from llama_orch_utils.errors import OrchError

    data = as_data(exchange, connection, conversation)
    data["answer"] = data.pop("text")
    del data["steps"], data["tool_calls"]  # the log keeps questions and answers
    try:
        return store.record(store.Turn(prompt=prompt, system=system, **data))
    except OrchError as error:
        out.warn(f"this is not in the conversation log: {error.message}", error.hint)
        return None


def usage_line(exchange: Exchange) -> str:
    """Tokens in and out, and how fast: for people."""
    from llama_orch_utils.money import display

    answer = exchange.answer
    if answer is None:
        return f"tokens: at least {exchange.pieces} out, {exchange.seconds:.1f} s"
    usage = answer.usage
    cached = f" ({usage.cached_tokens} cached)" if usage.cached_tokens else ""
    after = exchange.seconds - (exchange.waited or 0)
    # A rate over less than that says how the network cut the answer, not how fast the model is.
    speed = f", {(usage.output_tokens - 1) / after:.0f} per second" if after >= _LEAST_SECONDS else ""
    cost = f", {display(answer.cost)}" if answer.cost is not None else ""
    return f"tokens: {usage.input_tokens} in{cached}, {usage.output_tokens} out, {exchange.seconds:.1f} s{speed}{cost}"


def interrupted_line(exchange: Exchange, connection: Connection) -> str:
    """What an interrupted answer used."""
    if not exchange.pieces:
        used = "stopped before the first token"
    else:
        used = f"stopped after at least {exchange.pieces} token{'' if exchange.pieces == 1 else 's'}"
    return f"{used}; nothing is charged on this machine" if connection.local else f"{used}; what it cost: orch usage"
