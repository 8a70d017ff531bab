# SPDX-License-Identifier: GPL-3.0-or-later
"""The formats, as the makers' chat templates write them. The first form of each is the one that grammars write."""

from __future__ import annotations

from llama_orch.formats.form import Array, CallForm, Format, Object, Slot

THOUGHTS: tuple[tuple[str, str], ...] = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<thinking>", "</thinking>"),
    ("<seed:think>", "</seed:think>"),
)
"""Marks around thoughts. A model writes those that its chat template names."""

SILENT: tuple[tuple[str, str], ...] = (
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ("<|START_TEXT|>", "<|END_TEXT|>"),
    ("<response>", "</response>"),
    ("<|tool_call|>", "<|/tool_call|>"),
    ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
)
"""Marks around answers and around all calls, which are no part of any text, where the chat template names them."""

_TYPE = r'(?:"type"\s*:\s*"function"\s*,\s*)?'
_CALL_ID = r'"tool_call_id"\s*:\s*"[0-9]{1,3}"\s*,\s*'
_OBJECT = Object(("name",), ("arguments", "parameters"), _TYPE, loose=True)
_ELEMENTS = ("<function=", Slot.NAME, ">", "\n", Slot.PARAMETERS, "\n", "</function>")
_TOOL_CALL = CallForm(("<tool_call>", "\n", Object(), "\n", "</tool_call>"))
_TOOL_CALL_ELEMENTS = CallForm(("<tool_call>", "\n", *_ELEMENTS, "\n", "</tool_call>"))
_TOOL_CALL_LIST = CallForm(("<tool_call>", "\n", Array(), "\n", "</tool_call>"), written=False)
_FUNCTION = CallForm(("<function=", Slot.NAME, ">", Slot.ARGUMENTS, "</function>"), written=False)
_BARE = CallForm((_OBJECT,), bare=True, between="; ")
_BARE_KIN = (
    CallForm((Array(),), bare=True, written=False),
    CallForm(("{", '"tool_calls"', ":", Array(), "}"), bare=True, written=False),
    CallForm(("{", '"tool_call"', ":", Object(), "}"), bare=True, written=False),
)

QWEN_CODER = Format(
    name="qwen3_coder",
    signs=(("<tool_call>", "<function=", "<parameter="),),
    calls=(_TOOL_CALL_ELEMENTS, _TOOL_CALL, CallForm(_ELEMENTS, written=False)),
)
HERMES = Format(
    name="hermes",
    signs=(("<tool_call>",),),
    calls=(_TOOL_CALL, CallForm(_TOOL_CALL_ELEMENTS.steps, written=False), _TOOL_CALL_LIST),
)
LLAMA3 = Format(
    name="llama3",
    signs=(("<|start_header_id|>", "parameters"), ("<|header_start|>", "parameters")),
    calls=(
        CallForm((Object(("name",), ("parameters", "arguments"), _TYPE, loose=True),), bare=True, between="; "),
        CallForm(("<|python_tag|>", _OBJECT), between="; "),
        _FUNCTION,
    ),
)
MISTRAL_NEW = Format(
    name="mistral",
    signs=(("[TOOL_CALLS]", "[ARGS]"),),
    calls=(
        CallForm(("[TOOL_CALLS]", Slot.NAME, "[ARGS]", Slot.ARGUMENTS), between=""),
        CallForm(("[TOOL_CALLS]", Slot.NAME, "[CALL_ID]", Slot.ID, "[ARGS]", Slot.ARGUMENTS), written=False),
        CallForm(("[TOOL_CALLS]", Slot.NAME, Slot.ARGUMENTS), written=False),
        CallForm(("[TOOL_CALLS]", Array())),
    ),
    call_id_length=9,
)
MISTRAL = Format(
    name="mistral_old",
    signs=(("[TOOL_CALLS]",),),
    calls=(CallForm(("[TOOL_CALLS]", Array())), *(form for form in MISTRAL_NEW.calls[:3])),
    call_id_length=9,
)
_BEGIN, _END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
_DEEPSEEK_BLOCK = (
    *("<｜tool▁call▁begin｜>", "function", "<｜tool▁sep｜>", Slot.NAME, "\n```json\n"),
    *(Slot.ARGUMENTS, "\n```", "<｜tool▁call▁end｜>"),
)
_DEEPSEEK_PLAIN = ("<｜tool▁call▁begin｜>", Slot.NAME, "<｜tool▁sep｜>", Slot.ARGUMENTS, "<｜tool▁call▁end｜>")
_BLOCK = CallForm(_DEEPSEEK_BLOCK, before=_BEGIN, after=_END)
_PLAIN = CallForm(_DEEPSEEK_PLAIN, before=_BEGIN, after=_END, between="")
DEEPSEEK = Format(name="deepseek", signs=((_BEGIN, "```json"),), calls=(_BLOCK, _PLAIN))
DEEPSEEK_PLAIN = Format(name="deepseek_v3_1", signs=((_BEGIN,),), calls=(_PLAIN, _BLOCK))
HARMONY = Format(name="harmony", signs=(("<|channel|>", "<|message|>"),), channels=True)
GRANITE = Format(name="granite", signs=(("<|tool_call|>",),), calls=(CallForm(("<|tool_call|>", Array())),))
_ACTION = Object(("tool_name", "name"), ("parameters", "arguments"), _CALL_ID)
COMMAND_R = Format(
    name="command_r",
    signs=(("<|START_ACTION|>",),),
    calls=(CallForm(("<|START_ACTION|>", Array(_ACTION), "<|END_ACTION|>")),),
)
_OLD_ACTION = Object(("tool_name", "name"), ("parameters", "arguments"))
COMMAND_R_OLD = Format(
    name="command_r_old",
    signs=(("Action:", "tool_name", "```json"),),
    calls=(CallForm(("Action:", "\n", "```json", "\n", Array(_OLD_ACTION), "\n", "```")),),
)
GENERIC = Format(name="generic", calls=(_TOOL_CALL, _BARE, *_BARE_KIN))

FAMILIES: tuple[Format, ...] = (
    QWEN_CODER,
    HARMONY,
    MISTRAL_NEW,
    MISTRAL,
    DEEPSEEK,
    DEEPSEEK_PLAIN,
    COMMAND_R,
    COMMAND_R_OLD,
    GRANITE,
    HERMES,
    LLAMA3,
)
"""In the order in which a template is compared; GENERIC where none fits."""
