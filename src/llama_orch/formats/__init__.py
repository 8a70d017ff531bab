# SPDX-License-Identifier: GPL-3.0-or-later
"""How models of each family write tool calls and thoughts: the formats as data, a parser, and grammars for them.

families   the formats, as data
find       which of them a chat template belongs to
parser     an answer's text into text, thoughts and calls, as it streams
grammar    what holds an answer to the tools that it may call
turns      conversations with tools, for chat templates that do not know them
"""

from llama_orch.formats.find import find
from llama_orch.formats.form import Format
from llama_orch.formats.grammar import Answer, CallGrammar, grammar, thoughts
from llama_orch.formats.parser import Parser
from llama_orch.formats.parts import Argued, Called, Part, Said, Thought
from llama_orch.formats.tool import ToolSpec
from llama_orch.formats.turns import adapted

__all__ = [
    "Answer",
    "Argued",
    "CallGrammar",
    "Called",
    "Format",
    "Parser",
    "Part",
    "Said",
    "Thought",
    "ToolSpec",
    "adapted",
    "find",
    "grammar",
    "thoughts",
]
