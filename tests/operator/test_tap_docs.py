# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of docs/how-to/tap: every command is typed as it stands, every limit and code is one that there is."""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from environments import ROOT
from operator_tap import OperatorTap

from llama_orch.cli.main import main
from llama_orch.ledger.books.book import Book
from llama_orch.tap.config.reading import read
from llama_orch.tap.config.record import FILE, TapLimits

PAGES = sorted((ROOT / "docs" / "how-to" / "tap").glob("*.md"))
CODES = re.compile(r"`([a-z]+(?:_[a-z]+)+)`")


def commands(page: Path) -> list[str]:
    found: list[str] = []
    for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
        found += [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
    return found


def key_of(folder: Path) -> str:
    """An open key, for the word KEY of the pages."""
    from llama_orch.ledger.books import accounts, keys

    with Book.open(read(folder).database, actor="test") as book:
        return keys.add(book, accounts.listing(book)[0].id)[0].id


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_the_commands_of_a_page_do_what_they_should(
    page: Path, orch_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a folder that `public.md` has made; `orch tap serve` is typed as a process and told to end."""
    monkeypatch.chdir(tmp_path)
    made = "" if page.stem in {"public", "private"} else "mytap"
    if made:
        assert main(["tap", "init", made]) == 0
        monkeypatch.setenv("ORCH_TAP_DIR", made)
        assert main(["tap", "account", "add", "acme"]) == 0
        assert main(["tap", "grant", "acme", "--eur", "10"]) == 0
    typed = commands(page)
    assert typed or page.stem == "monitoring"
    for command in typed:
        words = shlex.split(command)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            monkeypatch.setenv(name, value)
            continue
        assert words[0] == "orch", command
        if words[1:3] == ["tap", "serve"]:
            monkeypatch.setenv("VLLM_KEY", "x")
            tap = OperatorTap(orch_home, tmp_path / words[3])
            tap.serve(*words[4:])
            tap.end()
            continue
        if "KEY" in words:
            folder = tmp_path / (made or "mytap")
            words[words.index("KEY")] = key_of(folder)
        code = main(words[1:])
        said = capsys.readouterr()
        assert code == 0, f"{command}\n{said.out}{said.err}"
        assert "Traceback" not in said.err
        assert "warning" not in said.err, command


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_the_toml_of_a_page_is_read(page: Path, tmp_path: Path) -> None:
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL):
        tomllib.loads(block)
        (tmp_path / FILE).write_text(f'mode = "private"\n{block}')
        read(tmp_path, environ={})


def test_every_limit_stands_in_the_table_with_its_default() -> None:
    page = (ROOT / "docs/how-to/tap/operations.md").read_text()
    table = page[page.index("## Every limit") : page.index("## Every error")]
    for limit in fields(TapLimits):
        assert f"`{limit.name}`" in table or limit.name == "grace", limit.name
        value = limit.default
        shown = [str(value), f"{value:g}", str(value // 2**20) if isinstance(value, int) else "", f"{value // 1024:g}"]
        row = next((line for line in table.splitlines() if f"`{limit.name}`" in line), page)
        assert any(each and each in row for each in shown), (limit.name, value, row)


def test_every_code_in_the_tables_is_one_that_the_code_says() -> None:
    page = (ROOT / "docs/how-to/tap/operations.md").read_text()
    table = page[page.index("## Every limit") :]
    sources = "".join(
        path.read_text() for room in ("llama_orch", "llama_orch_utils") for path in (ROOT / "src" / room).rglob("*.py")
    )
    for line in table.splitlines():
        if not line.startswith("|"):
            continue
        for code in CODES.findall(line):
            assert (
                f'"{code}"' in sources
                or code in {each.name for each in fields(TapLimits)}
                or (re.search(rf"\b{code}\b", sources))
            ), code
