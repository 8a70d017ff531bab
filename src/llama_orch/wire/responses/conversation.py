# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns out of items: one answer of a model is many items there, and one turn here."""

from __future__ import annotations

from llama_orch.wire.generation import Chat, Turn
from llama_orch.wire.json_body import Json

PARAGRAPH = "\n\n"


class Conversation:
    """Collects what was said, in order.

    Many templates take a system turn only at the beginning, and agents send several (Codex: instructions, then
    developer messages between the first user messages); so all that come before the model's first turn are one turn.
    Later ones stay where they are. What the model said between two turns of others is one turn of its own.
    """

    def __init__(self) -> None:
        self._system: list[str] = []
        self._turns: list[Turn] = []
        self._names: dict[str, str] = {}

    def system(self, text: str) -> None:
        """A message of the roles system or developer (templates know only the first)."""
        if any(turn["role"] != "user" for turn in self._turns):
            self._turns.append({"role": "system", "content": text})
        elif text:
            self._system.append(text)

    def user(self, content: Json) -> None:
        """A user's message: a text, or a content with images."""
        self._turns.append({"role": "user", "content": content})

    def said(self, text: str) -> None:
        """A text of the model's."""
        self._add("content", text)

    def thought(self, text: str) -> None:
        """A thought of the model's."""
        if text:
            self._add("reasoning_content", text)

    def called(self, call_id: str, name: str, arguments: Json) -> None:
        """A call of the model's; its arguments as an object where they are one."""
        self._names[call_id] = name
        call: Json = {"type": "function", "id": call_id, "function": {"name": name, "arguments": arguments}}
        calls = self._assistant().setdefault("tool_calls", [])
        assert isinstance(calls, list)
        calls.append(call)

    def answered(self, call_id: str, text: str) -> bool:
        """What a call gave. False, and nothing is added, where there was no such call."""
        name = self._names.get(call_id)
        if name is None:
            return False
        self._turns.append({"role": "tool", "tool_call_id": call_id, "name": name, "content": text})
        return True

    def chat(self) -> Chat:
        """All of it."""
        first: list[Turn] = [{"role": "system", "content": PARAGRAPH.join(self._system)}] if self._system else []
        return Chat((*first, *self._turns))

    def _add(self, name: str, text: str) -> None:
        turn = self._assistant()
        before = turn.get(name)
        turn[name] = f"{before}{PARAGRAPH}{text}" if before else text

    def _assistant(self) -> Turn:
        if not self._turns or self._turns[-1]["role"] != "assistant":
            self._turns.append({"role": "assistant", "content": ""})
        return self._turns[-1]
