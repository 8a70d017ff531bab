# SPDX-License-Identifier: Apache-2.0
"""A streamed answer without I/O: bytes in, pieces out, and at the end the whole answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from llama_orch_utils.client.answer import Json, cost_of, request_id_of, text_of, usage_of
from llama_orch_utils.client.drafts import Drafts
from llama_orch_utils.client.failure import envelope_of, error_of_fields
from llama_orch_utils.errors import AnswerError, InvalidAnswer, OrchError, StreamBroken
from llama_orch_utils.sse import EventParser, EventTooLong
from llama_orch_utils.transport.clock import Clock
from llama_orch_utils.transport.exchange import Head
from llama_orch_utils.types import Answer, Piece

# The scanner below `json.loads`: half of the latter's time goes into looking for white space and an encoding.
_scan: Callable[[str, int], tuple[Any, int]] = cast("Any", json.JSONDecoder()).scan_once
_FIRST_HIGH, _LAST_HIGH = "\ud800", "\udbff"


class StreamReader:
    """Reads one stream. `feed` gives pieces of whole code points; `finished` once the last event has come."""

    __slots__ = (
        "_clock",
        "_drafts",
        "_half",
        "_head",
        "_held",
        "_last",
        "_logprobs",
        "_parser",
        "_reasoning",
        "_refusal",
        "_target",
        "_texts",
        "_usage",
        "finish_reason",
        "finished",
    )

    def __init__(self, head: Head, target: str, clock: Clock) -> None:
        self._head, self._target, self._clock = head, target, clock
        self._parser = EventParser()
        self._texts: list[str] = []
        self._reasoning: list[str] = []
        self._logprobs: list[Any] = []
        self._drafts: Drafts | None = None
        self._refusal = ""
        self._half = {"content": "", "reasoning_content": ""}
        self._held = False
        self._usage: object = None
        self._last: Json = {}
        self.finish_reason = ""
        self.finished = False

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._texts)

    def feed(self, chunk: bytes) -> list[Piece]:
        """The pieces that `chunk` completes. Raises StreamBroken, or the error that the target put in the stream."""
        pieces: list[Piece] = []
        try:
            for data in self._parser.feed(chunk):
                if data == b"[DONE]":
                    self.finished = True
                    self._clock.drain()
                elif not self.finished:
                    self._event(data, pieces)
        except (EventTooLong, InvalidAnswer) as error:
            raise self.broken(str(error)) from error
        except (ValueError, StopIteration, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
            raise self.broken("an event that is no chat completion chunk") from error
        return pieces

    def end(self) -> Answer:
        """The whole answer, after the last chunk. Raises StreamBroken if the target had not finished."""
        if not self.finish_reason:
            raise self.broken("it ended before the answer did")
        for field, half in self._half.items():
            if half:
                (self._texts if field == "content" else self._reasoning).append("\ufffd")
        text, reasoning = "".join(self._texts), "".join(self._reasoning)
        return Answer(
            text=text,
            model=text_of(self._last.get("model")),
            target=self._target,
            finish_reason=self.finish_reason,
            usage=usage_of(self._usage),
            reasoning=reasoning,
            request_id=request_id_of(self._head),
            cost=cost_of(self._usage),
            tool_calls=tuple(self._drafts.whole) if self._drafts is not None else (),
            refusal=self._refusal,
            raw=self._whole(text, reasoning),
        )

    def broken(self, words: str) -> StreamBroken:
        """The error for a stream that cannot be read on; it holds the text so far."""
        return StreamBroken(
            f"the stream of {self._target} broke: {words}",
            partial=self.text,
            hint="ask again",
            target=self._target,
            request_id=request_id_of(self._head),
        )

    def _event(self, data: bytes, pieces: list[Piece]) -> None:
        told = data.decode()
        if not told.startswith("{"):
            told = told.lstrip()
        raw, end = _scan(told, 0)
        if end != len(told) and told[end:].strip():
            raise ValueError("something behind the JSON")
        choices = raw.get("choices")
        if not choices:
            self._aside(raw, data)
            return
        choice = choices[0]
        delta = choice["delta"]
        text, reasoning = delta.get("content") or "", delta.get("reasoning_content") or delta.get("reasoning") or ""
        if self._held or b"\\u" in data:
            text, reasoning = self._joined("content", text), self._joined("reasoning_content", reasoning)
        if text or reasoning:
            if type(text) is not str or type(reasoning) is not str:
                raise TypeError("a delta that is no text")
            self._texts.append(text)
            if reasoning:
                self._reasoning.append(reasoning)
            pieces.append(Piece(text, reasoning))
            self._clock.token()
        elif delta:
            self._rarer(delta, pieces)
        if (finish := choice.get("finish_reason")) or choice.get("logprobs") or raw.get("usage"):
            self._notable(raw, choice, finish, pieces)

    def _rarer(self, delta: Json, pieces: list[Piece]) -> None:
        """A delta without text: tool calls, a refusal, or the role alone."""
        if calls := delta.get("tool_calls"):
            if self._drafts is None:
                self._drafts = Drafts()
            pieces += [Piece("", call=call) for call in self._drafts.add(calls)]
            self._clock.token()
        self._refusal += text_of(delta.get("refusal"))

    def _notable(self, raw: Json, choice: Json, finish: str | None, pieces: list[Piece]) -> None:
        if finish:
            self.finish_reason, self._last = finish, raw
            last = self._drafts.end() if self._drafts is not None else []
            if finish != "length":  # else the last one may be half: it is in the answer, and no piece
                pieces += [Piece("", call=call) for call in last]
        if logprobs := choice.get("logprobs"):
            self._logprobs += logprobs.get("content") or []
        self._usage = raw.get("usage") or self._usage

    def _aside(self, raw: Json, data: bytes) -> None:
        """An event without a choice: the usage, or an error."""
        if (fields := envelope_of(data)) is not None:
            raise self._told(fields)
        self._usage = raw.get("usage") or self._usage

    def _told(self, fields: Json) -> OrchError:
        error = error_of_fields(fields, self._head, self._target)
        if type(error) in (OrchError, AnswerError):
            return self.broken(error.message)
        if isinstance(error, StreamBroken) and not error.partial:
            error.partial = self.text
        return error

    def _joined(self, field: str, text: str) -> str:
        r"""`text` without halves of surrogate pairs: JSON's `\ud83d` may come in one event and `\ude00` in the next."""
        whole = self._half[field] + text
        self._half[field] = ""
        if whole and _FIRST_HIGH <= whole[-1] <= _LAST_HIGH:
            whole, self._half[field] = whole[:-1], whole[-1]
        self._held = any(self._half.values())
        return whole.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _whole(self, text: str, reasoning: str) -> Json:
        """The chunks as one chat completion, as `chat` would have got it."""
        message: Json = {"role": "assistant", "content": text}
        if reasoning:
            message["reasoning_content"] = reasoning
        if self._drafts is not None:
            message["tool_calls"] = [call.message() for call in self._drafts.whole]
        logprobs = {"content": self._logprobs} if self._logprobs else None
        choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": self.finish_reason}
        kept = {name: value for name, value in self._last.items() if name not in ("object", "choices", "usage")}
        return {**kept, "object": "chat.completion", "choices": [choice], "usage": self._usage}
