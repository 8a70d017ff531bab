# SPDX-License-Identifier: GPL-3.0-or-later
"""Every relative link of the documentation leads to a file, and to a heading of it; every page is on the list."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from environments import ROOT

PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for pattern in ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "benchmarks/README.md", "applets/**/*.md")
    for page in ROOT.glob(pattern)
    if not {"node_modules", ".venv", "build", "dist"} & set(page.parts)
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
# Folders of pages that the list names as a whole.
FOLDERS = ("docs/decisions/",)


def links_of(page: Path) -> list[str]:
    """The targets of a page's links that lead nowhere outside; what stands in code is none."""
    found = _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
    return [each for each in found if not re.match(r"[a-z][a-z0-9+.-]*:", each)]


def anchors_of(page: Path) -> set[str]:
    """What headings can be linked by: small letters, dashes for spaces, no other signs (as forges make them)."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for link in links_of(page):
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name} links to {link}"
        assert target.is_relative_to(ROOT), f"{name} links out of the repository: {link}"
        if anchor:
            assert anchor in anchors_of(target), f"{name} links to {link}, which has no such heading"


def test_every_page_is_on_the_list() -> None:
    index = ROOT / "docs" / "README.md"
    named = {(index.parent / link.partition("#")[0]).resolve() for link in links_of(index)}
    pages = [ROOT / name for name in PAGES if name.startswith("docs/") and not name.startswith(FOLDERS)]
    missing = [page.relative_to(ROOT).as_posix() for page in pages if page != index and page not in named]
    assert missing == []
