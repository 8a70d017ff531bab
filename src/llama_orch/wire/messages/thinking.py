# SPDX-License-Identifier: GPL-3.0-or-later
"""How much the model is to think, and how much of its earlier thoughts it gets to see again."""

from __future__ import annotations

from dataclasses import dataclass

from llama_orch.wire.fields import Fields, kind, unsupported
from llama_orch.wire.generation import Chat, Thinking, Turn
from llama_orch.wire.json_body import Json, pointer
from llama_orch_utils.errors import BadRequest

LEAST_BUDGET = 1024
MOST = 2**31 - 1
SORTS = ("enabled", "adaptive", "disabled")
DISPLAYS = ("summarized", "omitted", "updates")
CLEAR_THINKING = "clear_thinking_20251015"
MAX_EDITS = 16


@dataclass(frozen=True, slots=True)
class ThinkingWish:
    """The neutral wish, and whether the client is not to see the thoughts."""

    thinking: Thinking
    omitted: bool = False


def read_thinking(fields: Fields, effort: str | None) -> ThinkingWish:
    """The field `thinking`.

    As in Anthropic's API nothing is thought unless the client asks for it: by `thinking`, or by an effort.
    """
    wish = fields.object("thinking")
    if wish is None:
        return ThinkingWish(Thinking(enabled=None if effort else False, effort=effort))
    sort = wish.text("type")
    if sort == "between_tools":
        raise unsupported("thinking of type between_tools", wish.at("type"), "use adaptive")
    if sort not in SORTS:
        raise BadRequest(f"type must be one of {', '.join(SORTS)}", param=wish.at("type"))
    budget = _budget(wish) if sort == "enabled" else None
    omitted = False
    if sort == "disabled":
        effort = None
    else:
        omitted = _display(wish) == "omitted"
        wish.ignore(("block_binding",))
    wish.refuse_rest()
    return ThinkingWish(Thinking(sort != "disabled", effort, budget), omitted)


def _budget(wish: Fields) -> int:
    budget = wish.integer("budget_tokens", LEAST_BUDGET, MOST)
    if budget is None:
        raise BadRequest("budget_tokens is missing", param=wish.at("budget_tokens"), hint="or use type adaptive")
    return budget


def _display(wish: Fields) -> str | None:
    display = wish.text("display")
    if display not in (None, *DISPLAYS):
        raise BadRequest(f"display must be one of {', '.join(DISPLAYS)}", param=wish.at("display"))
    return display


def edit_context(fields: Fields, chat: Chat) -> Chat:
    """The field `context_management`: of its edits, clearing earlier thoughts. Claude Code always sends that one."""
    management = fields.object("context_management")
    if management is None:
        return chat
    edits = management.array("edits", most=MAX_EDITS) or []
    management.refuse_rest()
    for index, edit in enumerate(edits):
        kept = _kept_turns(edit, pointer(management.at("edits"), index))
        if kept is not None:
            chat = _clear(chat, kept)
    return chat


def _kept_turns(edit: Json, where: str) -> int | None:
    """How many thinking turns an edit leaves; None: all."""
    if not isinstance(edit, dict):
        raise BadRequest(f"an edit must be an object, not {kind(edit)}", param=where)
    fields = Fields(edit, where)
    sort = fields.text("type")
    if sort is None:
        raise BadRequest("an edit must have a type", param=fields.at("type"))
    if sort != CLEAR_THINKING:
        raise unsupported(f"the context edit {sort[:64]}", where, "shorten the messages in your client")
    keep = fields.take("keep")
    fields.refuse_rest()
    if keep is None:
        return 1
    if keep == "all":
        return None
    if not isinstance(keep, dict):
        raise BadRequest('keep must be "all" or an object with a type', param=fields.at("keep"))
    return _turns(Fields(keep, fields.at("keep")))


def _turns(keep: Fields) -> int | None:
    sort = keep.text("type")
    if sort == "all":
        keep.refuse_rest()
        return None
    if sort != "thinking_turns":
        raise BadRequest("type must be all or thinking_turns", param=keep.at("type"))
    value = keep.integer("value", 1, MOST)
    keep.refuse_rest()
    if value is None:
        raise BadRequest("value is missing", param=keep.at("value"))
    return value


def _clear(chat: Chat, kept: int) -> Chat:
    turns: list[Turn] = []
    for turn in reversed(chat.turns):
        if "reasoning_content" in turn:
            kept -= 1
            if kept < 0:
                turn = {name: value for name, value in turn.items() if name != "reasoning_content"}  # noqa: PLW2901
        turns.append(turn)
    return Chat(tuple(reversed(turns)), chat.prefill, chat.template)
