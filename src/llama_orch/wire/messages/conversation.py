# SPDX-License-Identifier: GPL-3.0-or-later
"""The conversation: Anthropic's messages as turns that chat templates know.

Two messages of one role in a row become one turn, as Anthropic's API has it (many templates demand that roles
alternate). A system message later in the conversation joins the user's turn before it as a reminder: most templates
know a system turn only at the beginning, and moved there it would cost the cached prompt.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from llama_orch.wire.fields import Fields, kind, unsupported
from llama_orch.wire.generation import Chat, Turn
from llama_orch.wire.json_body import Json, pointer
from llama_orch.wire.messages.blocks import PARAGRAPH, Content, read_content, read_texts
from llama_orch.wire.picture import Part, joined
from llama_orch_utils.errors import BadRequest

MAX_MESSAGES = 4096
ROLES = ("user", "assistant", "system")
EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "xhigh"}
_BILLING = "x-anthropic-billing-header:"
_SORTS = {
    "user": ("text", "image", "tool_result"),
    "assistant": ("text", "thinking", "redacted_thinking", "tool_use"),
    "system": ("text",),
}


@dataclass(slots=True)
class Conversation:
    """What the messages come to.

    `chat` is what the template gets, `referenced` are tools that a search brought in, `effort` is the last one that a
    system message asked for.
    """

    chat: Chat
    referenced: set[str] = field(default_factory=set[str])
    effort: str | None = None


def read_conversation(fields: Fields) -> Conversation:
    """The fields `system` and `messages`. A last message of the assistant's is the beginning of the answer."""
    items = fields.array("messages", most=MAX_MESSAGES)
    where = fields.at("messages")
    if not items:
        raise BadRequest(
            "messages must hold at least one message",
            param=where,
            hint='send {"messages": [{"role": "user", "content": "…"}]}',
        )
    builder = _Builder(_system(fields))
    last_user = max((index for index, item in enumerate(items) if _is_users(item)), default=-1)
    for index, item in enumerate(items):
        builder.add(item, pointer(where, index), later_user=index < last_user)
    return builder.finish(pointer(where, len(items) - 1))


def _system(fields: Fields) -> list[str]:
    # Claude Code's accounting block changes with every request: kept, it would cost the whole cached prompt.
    return [text for text in read_texts(fields, "system") if not text.startswith(_BILLING)]


def _is_users(item: Json) -> bool:
    return isinstance(item, dict) and item.get("role") == "user"


@dataclass(slots=True)
class _Draft:
    """A turn to which the next message may add: pieces, so that a long conversation is joined once."""

    role: str
    texts: list[str | Part] = field(default_factory=list[str | Part])
    thoughts: list[str] = field(default_factory=list[str])
    calls: list[Json] = field(default_factory=list[Json])
    result: dict[str, Json] = field(default_factory=dict[str, Json])

    @property
    def content(self) -> Json:
        return joined([text for text in self.texts if text], PARAGRAPH)

    def turn(self) -> Turn:
        found: Turn = {"role": self.role, "content": self.content} | self.result
        thought = PARAGRAPH.join(text for text in self.thoughts if text)
        if thought:
            found["reasoning_content"] = thought
        if self.calls:
            found["tool_calls"] = self.calls
        return found


class _Builder:
    """Turns, one message after the other."""

    def __init__(self, system: list[str]) -> None:
        self._drafts: list[_Draft] = []
        self._names: dict[str, str] = {}
        self._last = ""
        self._found = Conversation(Chat(()))
        if any(system):
            self._draft("system").texts += system

    def add(self, item: Json, where: str, *, later_user: bool) -> None:
        """One message."""
        if not isinstance(item, dict):
            raise BadRequest(f"a message must be an object, not {kind(item)}", param=where)
        fields = Fields(item, where)
        role = fields.text("role")
        if role not in ROLES:
            raise BadRequest(f"role must be one of {', '.join(ROLES)}", param=fields.at("role"))
        if role == "system":
            self._add_system(fields, later_user=later_user)
        else:
            content = read_content(fields, _SORTS[role])
            self._add_user(content) if role == "user" else self._add_assistant(content)
        fields.refuse_rest()
        self._last = role

    def finish(self, where: str) -> Conversation:
        """The whole conversation; `where` is the last message's JSON pointer."""
        prefill = self._prefill(where) if self._last == "assistant" else None
        self._found.chat = Chat(tuple(draft.turn() for draft in self._drafts), prefill)
        return self._found

    def _draft(self, role: str) -> _Draft:
        """The last turn if it is of that role, else a new one."""
        if not self._drafts or self._drafts[-1].role != role:
            self._drafts.append(_Draft(role))
        return self._drafts[-1]

    def _prefill(self, where: str) -> str | None:
        draft = self._drafts[-1]
        if draft.calls:
            raise BadRequest(
                "the last message calls tools: their results have to follow",
                param=where,
                hint="add a user message with a tool_result block for each tool_use block",
            )
        if any(draft.thoughts):
            raise unsupported("a thinking block in the last message", where, "continue the answer's text only")
        self._drafts.pop()
        if not any(draft.role in {"user", "tool"} for draft in self._drafts):
            raise BadRequest("an answer can only be continued after a message that it answers", param=where)
        return str(draft.content) or None

    def _add_user(self, content: Content) -> None:
        for result in content.results:
            named: dict[str, Json] = {"tool_call_id": result.call}
            if result.call in self._names:
                named["name"] = self._names[result.call]
            self._drafts.append(_Draft("tool", [result.text], result=named))
            self._found.referenced.update(result.references)
        if content.texts or not content.results:
            self._draft("user").texts += content.texts

    def _add_assistant(self, content: Content) -> None:
        draft = self._draft("assistant")
        draft.texts += content.texts
        draft.thoughts += content.thoughts
        draft.calls += content.calls
        self._names |= {str(call["id"]): _name(call) for call in content.calls if isinstance(call, dict)}

    def _add_system(self, fields: Fields, *, later_user: bool) -> None:
        output = fields.object("output_config")
        if output is not None:
            self._found.effort = read_effort(output) or self._found.effort
            output.refuse_rest()
        texts = [text for text in read_texts(fields, "content") if text]
        if (_clear_at(fields) and later_user) or not texts:
            return
        if not self._last:
            self._draft("system").texts += texts
        else:
            self._draft("user").texts.append(f"<system-reminder>\n{PARAGRAPH.join(texts)}\n</system-reminder>")


def read_effort(output: Fields) -> str | None:
    """The field `effort`, in the words of `generation.Thinking`."""
    effort = output.text("effort")
    if effort is None:
        return None
    if effort not in EFFORTS:
        raise BadRequest(f"effort must be one of {', '.join(EFFORTS)}", param=output.at("effort"))
    return EFFORTS[effort]


def _clear_at(fields: Fields) -> bool:
    value = fields.text("clear_at")
    if value not in (None, "never", "next_user_message"):
        raise BadRequest("clear_at must be never or next_user_message", param=fields.at("clear_at"))
    return value == "next_user_message"


def _name(call: dict[str, Json]) -> str:
    function = call["function"]
    return str(function["name"]) if isinstance(function, dict) else ""
