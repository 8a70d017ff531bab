# SPDX-License-Identifier: Apache-2.0
"""HTML: what a reader of the page sees, by the lines of its source. Nothing is fetched, no script runs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bs4 import BeautifulSoup
from bs4.element import NavigableString, PreformattedString, Tag

from llama_orch_utils.documents.document import Document, Place, joined
from llama_orch_utils.documents.plain import decoded

_UNSEEN = ("script", "style", "template", "noscript", "svg", "math", "iframe", "object", "head")
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "caption",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "html",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "title",
        "tr",
        "ul",
    ]
)
_SPACE = re.compile(r"\s+")


def read(name: str, kind: str, data: bytes) -> Document:
    """The page's title and then its blocks, each with the line of the source where it begins."""
    soup = BeautifulSoup(decoded(name, data), "html.parser")
    title = soup.title.get_text() if soup.title else ""
    for unseen in soup.find_all([*_UNSEEN]):
        unseen.decompose()
    for unseen in soup.find_all(hidden=True):
        unseen.decompose()
    return joined(name, kind, [(_SPACE.sub(" ", title).strip(), Place("line", 1)), *_blocks(soup)])


def _blocks(root: Tag) -> Iterator[tuple[str, Place]]:
    """The runs of text between the borders of blocks. No recursion: pages nest as deep as they like."""
    block_of: dict[int, int] = {id(root): id(root)}  # of each element, the block that its text belongs to
    words: list[str] = []
    line, place, last = 1, Place("line", 1), 0
    for node in root.descendants:
        if isinstance(node, Tag):
            line = node.sourceline or line
            block_of[id(node)] = id(node) if node.name in _BLOCKS else block_of[id(node.parent)]
            words += [" "] if node.name == "br" else []
        elif isinstance(node, NavigableString) and not isinstance(node, PreformattedString):
            block = block_of[id(node.parent)]
            if block != last:
                yield _SPACE.sub(" ", "".join(words)).strip(), place
                words, place, last = [], Place("line", line), block
            words.append(str(node))
    yield _SPACE.sub(" ", "".join(words)).strip(), place
